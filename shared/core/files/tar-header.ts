/**
 * Headers of a tar archive in the pax format (POSIX.1-2017, pax, "pax Interchange Format"): a ustar header, before it an extended one
 * with all that does not fit or would not be exact there: the whole path, times to the nanosecond, large numbers, extended attributes.
 *
 * Names are bytes, as they are on the disk: not all are UTF-8.
 */
export interface TarEntry {
  readonly kind: "file" | "directory" | "link" | "hard-link";
  /** Relative; of a directory without a `/` at its end. */
  readonly path: Uint8Array;
  /** Of links. */
  readonly target?: Uint8Array;
  /** Of a file; else 0. */
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedNs: bigint;
  /** With their full names; written as star does, which GNU tar and bsdtar read: `SCHILY.xattr.<name>`. */
  readonly attributes?: ReadonlyMap<string, Uint8Array>;
}

export const tarBlockBytes = 512;
/** Two blocks of zeros end an archive. */
export const tarEnd = new Uint8Array(2 * tarBlockBytes);

const typeFlags = { file: "0", "hard-link": "1", link: "2", directory: "5", extended: "x" } as const;
/** An octal field of eight bytes with its end: seven digits. */
const maxSmallNumber = 0o7777777;
/** Of twelve: eleven digits, which is 8 GiB and, of seconds, the year 2242. */
const maxLargeNumber = 0o77777777777;

export function tarHeader(entry: TarEntry): Uint8Array {
  const path = entry.kind === "directory" ? concat([entry.path, text("/")]) : entry.path;
  const records = extendedRecords(entry, path);
  const short = { ...entry, path: path.subarray(0, 100), target: entry.target?.subarray(0, 100) };
  return concat([
    ustar({ ...short, type: "extended", path: text("PaxHeader"), target: undefined, sizeBytes: records.length }),
    records,
    new Uint8Array(tarPadding(records.length)),
    ustar({ ...short, type: entry.kind, sizeBytes: entry.sizeBytes }),
  ]);
}

/** Bytes of zeros after so many bytes of content. */
export function tarPadding(sizeBytes: number): number {
  return (tarBlockBytes - (sizeBytes % tarBlockBytes)) % tarBlockBytes;
}

function extendedRecords(entry: TarEntry, path: Uint8Array): Uint8Array {
  const records: Uint8Array[] = [];
  const names = entry.target === undefined ? [path] : [path, entry.target];
  if (!names.every(isUtf8)) records.push(record("hdrcharset", text("BINARY")));
  records.push(record("path", path));
  if (entry.target !== undefined) records.push(record("linkpath", entry.target));
  records.push(record("mtime", text(decimalSeconds(entry.modifiedNs))));
  if (entry.sizeBytes > maxLargeNumber) records.push(record("size", text(String(entry.sizeBytes))));
  if (entry.uid > maxSmallNumber) records.push(record("uid", text(String(entry.uid))));
  if (entry.gid > maxSmallNumber) records.push(record("gid", text(String(entry.gid))));
  for (const [name, value] of entry.attributes ?? []) {
    // "=" ends a keyword: such a name cannot be said.
    if (!/[=\0]/.test(name)) records.push(record(`SCHILY.xattr.${name}`, value));
  }
  return concat(records);
}

/** "length keyword=value\n", where the length counts itself. */
function record(keyword: string, value: Uint8Array): Uint8Array {
  const rest = concat([text(` ${keyword}=`), value, text("\n")]);
  let length = rest.length;
  while (rest.length + String(length).length !== length) length = rest.length + String(length).length;
  return concat([text(String(length)), rest]);
}

interface Ustar {
  readonly type: keyof typeof typeFlags;
  readonly path: Uint8Array;
  readonly target: Uint8Array | undefined;
  readonly sizeBytes: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedNs: bigint;
}

/** Offsets and lengths are those of POSIX.1-2017, table 4-14. */
function ustar(header: Ustar): Uint8Array {
  const block = new Uint8Array(tarBlockBytes);
  const seconds = Math.max(0, Number(header.modifiedNs / 1_000_000_000n));
  block.set(header.path.subarray(0, 100), 0);
  block.set(octal(header.mode & 0o7777, 8), 100);
  block.set(octal(Math.min(header.uid, maxSmallNumber), 8), 108);
  block.set(octal(Math.min(header.gid, maxSmallNumber), 8), 116);
  block.set(octal(Math.min(header.sizeBytes, maxLargeNumber), 12), 124);
  block.set(octal(Math.min(seconds, maxLargeNumber), 12), 136);
  block.set(text(typeFlags[header.type]), 156);
  block.set(header.target?.subarray(0, 100) ?? [], 157);
  block.set(text("ustar\u000000"), 257);
  // The sum is taken with blanks in its own place.
  block.fill(0x20, 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.set(text(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  return block;
}

function octal(value: number, bytes: number): Uint8Array {
  return text(`${value.toString(8).padStart(bytes - 1, "0")}\0`);
}

/** "1700000000.123456789"; before 1970 with a sign, as GNU tar writes it. */
function decimalSeconds(ns: bigint): string {
  const sign = ns < 0n ? "-" : "";
  const whole = ns < 0n ? -ns : ns;
  const rest = String(whole % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${sign}${whole / 1_000_000_000n}${rest === "" ? "" : `.${rest}`}`;
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function text(value: string): Uint8Array {
  return Buffer.from(value, "utf8");
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
