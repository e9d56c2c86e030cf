/**
 * Names from an image as names of the system that they are taken out to. Pure; what is renamed is told by the caller.
 *
 * 1. A name never leads out of its folder: no `..`, no separator of the target, no drive, no stream behind a colon.
 * 2. Two names of one folder never become one: what was changed, or differs only by what the target does not see, carries the
 *    number of its node.
 * 3. The same names in the same order give the same result: a second walk finds what the first one made.
 */
import { FarsideError } from "../errors.ts";

export interface TargetNames {
  /** `zip`: of a zip archive, which knows `/` alone: a backslash becomes one where it is unpacked, and a letter with a colon a drive. */
  readonly rules: "posix" | "windows" | "zip";
  /** Whether two names that differ only by case, or by how accents are composed, are one there (macOS, Windows). */
  readonly ignoresCase: boolean;
  /** Bytes of a name there: escaped bytes of a name that is not UTF-8 may count as one each. */
  readonly bytesOf: (name: string) => number;
}

export interface TargetName {
  readonly name: string;
  readonly renamed: boolean;
}

/** Names of one folder, in the order of the walk. */
export type NameMapper = (name: string, node: number) => TargetName;

/** NAME_MAX of Linux' limits.h; NTFS: 255 UTF-16 units. */
const maxNameBytes = 255;
/** About 150 bytes of memory each. */
const maxNamesOfFolder = 1_000_000;
// "Naming Files, Paths, and Namespaces", learn.microsoft.com: reserved letters and device names.
// oxlint-disable-next-line no-control-regex -- they are what is looked for
const windowsLetters = /[<>:"/\\|?*\u0000-\u001f]/g;
const windowsDevice = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\..*)?$/i;

export function nameMapper(target: TargetNames): NameMapper {
  const seen = new Set<string>();
  return (name, node) => {
    const clean = cleanName(name, target);
    const fits = clean === name && target.bytesOf(name) <= maxNameBytes && !seen.has(fold(name));
    const given = fits ? name : freeName(seen, clean, node);
    if (target.ignoresCase) remember(seen, fold(given));
    return { name: given, renamed: !fits };
  };
}

/** As the system allows it; the name itself where it does. */
function cleanName(name: string, { rules }: TargetNames): string {
  let clean = rules === "windows" ? cleanForWindows(name) : name.replaceAll(/[/\0]/g, "_");
  if (rules === "zip") clean = clean.replaceAll("\\", "_").replace(/^([a-z]):/i, "$1_");
  if (clean === "" || clean === "." || clean === "..") clean = clean.replaceAll(".", "_") || "_";
  return clean;
}

function cleanForWindows(name: string): string {
  // Blanks and dots at the end are dropped silently by Windows, which would make two names one.
  const clean = name.replaceAll(windowsLetters, "_").replace(/[. ]+$/, (end) => "_".repeat(end.length));
  return windowsDevice.test(clean) ? `_${clean}` : clean;
}

function freeName(seen: ReadonlySet<string>, name: string, node: number): string {
  let given = numbered(name, node);
  while (seen.has(fold(given))) given = numbered(given, node);
  return given;
}

/** The node's number before the ending, so that the file still opens with its program. */
function numbered(name: string, node: number): string {
  const mark = `~${node}`;
  const ending = /(?<=.)\.[A-Za-z0-9]{1,10}$/.exec(name)?.[0] ?? "";
  const stem = name.slice(0, name.length - ending.length);
  return `${cut(stem, maxNameBytes - Buffer.byteLength(mark + ending))}${mark}${ending}`;
}

/** At most so many bytes of UTF-8, in whole letters. */
function cut(text: string, maxBytes: number): string {
  if (Buffer.byteLength(text) <= maxBytes) return text;
  let bytes = 0;
  let kept = "";
  for (const letter of text) {
    bytes += Buffer.byteLength(letter);
    if (bytes > maxBytes) break;
    kept += letter;
  }
  return kept;
}

function fold(name: string): string {
  return name.normalize("NFC").toLowerCase();
}

function remember(seen: Set<string>, name: string): void {
  if (seen.size >= maxNamesOfFolder) {
    throw new FarsideError(
      "not-supported",
      `A folder holds more than ${maxNamesOfFolder} names, too many to keep apart on a system that ignores case: use --tar.`,
    );
  }
  seen.add(name);
}
