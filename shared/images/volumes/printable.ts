/** Names inside an image are hostile: they reach terminals, paths and error messages. */

/** At most `maxLetters`, with controls, separators of lines and what turns the direction of text replaced by "?". */
export function printable(text: string, maxLetters = 100): string {
  const letters = Array.from(text.slice(0, 4 * maxLetters)).slice(0, maxLetters);
  return letters.join("").replaceAll(/\p{C}|\p{Zl}|\p{Zp}/gu, "?");
}

/** As a part of a volume's name: no slash, no blank, not empty, not "." or "..". */
export function nameSegment(text: string): string {
  const name = printable(text).replaceAll(/[/\\\s~]/gu, "_");
  return /^\.*$/.test(name) ? `_${name}` : name;
}

/** 16 bytes in the order of their text, as Linux prints the uuids of its own formats. */
export function uuidText(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join("-");
}

/** 16 bytes of a GUID, whose first three parts are little-endian (UEFI specification 2.10, appendix A). */
export function guidText(bytes: Uint8Array): string {
  const order = [3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15];
  return uuidText(Uint8Array.from(order, (at) => bytes[at] ?? 0));
}
