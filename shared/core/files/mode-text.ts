/** The letter of `ls -l` for each kind of file. */
const kindLetters = {
  file: "-",
  directory: "d",
  link: "l",
  "character-device": "c",
  "block-device": "b",
  fifo: "p",
  socket: "s",
  other: "?",
} as const;

/** A file's kind and permission bits as `ls -l` writes them: `drwxr-xr-x`, `-rwsr-xr-x`, `drwxrwxrwt`. */
export function modeText(kind: keyof typeof kindLetters, mode: number): string {
  const bits = [6, 3, 0].map((shift) => triple((mode >> shift) & 7)).join("");
  const letters: string[] = [kindLetters[kind], ...Array.from(bits)];
  // Set-user-id, set-group-id and sticky stand in the place of their triple's x; a capital where there was none.
  for (const [bit, place, letter] of [
    [0o4000, 3, "s"],
    [0o2000, 6, "s"],
    [0o1000, 9, "t"],
  ] as const) {
    if ((mode & bit) !== 0) letters[place] = letters[place] === "x" ? letter : letter.toUpperCase();
  }
  return letters.join("");
}

function triple(bits: number): string {
  return `${(bits & 4) !== 0 ? "r" : "-"}${(bits & 2) !== 0 ? "w" : "-"}${(bits & 1) !== 0 ? "x" : "-"}`;
}
