/**
 * The records of a zip archive (PKWARE APPNOTE.TXT 6.3.10; section numbers below are its), with zip64 where numbers ask for it, UTF-8 names,
 * Unix modes, and Info-ZIP's extra fields for times and owners ("UT" and "ux", extrafld.txt of Info-ZIP's zip).
 */
export interface ZipEntry {
  readonly kind: "file" | "directory" | "link";
  /** With `/` between the names; a directory's ends with one. */
  readonly path: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly modifiedMs: number;
  readonly isDeflated: boolean;
  /** Sizes and sum come behind the content, since it is written as it is read. */
  readonly isStreamed: boolean;
  /** Its sizes have eight bytes. To be said before the content, so where it may become that long. */
  readonly isLarge: boolean;
}

export interface ZipContent {
  readonly crc32: number;
  readonly storedBytes: number;
  readonly plainBytes: number;
}

/** 4.4.1.4: a field of all ones says that the number is in the zip64 extra field. */
const escape32 = 0xffff_ffff;
const escape16 = 0xffff;
/** 4.4.4: bit 3, sizes behind the content; bit 11, names in UTF-8. */
const streamedFlag = 0x0008;
const utf8Flag = 0x0800;
/** 4.4.3: 2.0 knows directories and deflate, 4.5 zip64. */
const plainVersion = 20;
const zip64Version = 45;
/** 4.4.2: made on Unix, so that the upper half of the external attributes is a mode. */
const madeByUnix = (3 << 8) | zip64Version;
/** The kinds of stat(2). */
const kindBits = { file: 0o100000, directory: 0o040000, link: 0o120000 } as const;
const dosDirectory = 0x10;

/** Longest path that a record can say, in bytes: 4.4.10. */
export const maxZipPathBytes = escape16;

const nothing: ZipContent = { crc32: 0, storedBytes: 0, plainBytes: 0 };

/** 4.3.7. `content` is known where the entry is not streamed. */
export function localHeader(entry: ZipEntry, content: ZipContent = nothing): Uint8Array {
  const { isLarge } = entry;
  const zip64 = isLarge ? [extraField(0x0001, [u64(content.plainBytes), u64(content.storedBytes)])] : [];
  const extra = concat([...zip64, ...unixExtras(entry)]);
  return concat([
    u32(0x0403_4b50),
    ...common(entry, isLarge),
    u32(content.crc32),
    u32(isLarge ? escape32 : content.storedBytes),
    u32(isLarge ? escape32 : content.plainBytes),
    u16(entry.path.length),
    u16(extra.length),
    entry.path,
    extra,
  ]);
}

/** 4.3.9: behind the content of a streamed entry. */
export function dataDescriptor({ isLarge }: ZipEntry, { crc32, storedBytes, plainBytes }: ZipContent): Uint8Array {
  const size = isLarge ? u64 : u32;
  return concat([u32(0x0807_4b50), u32(crc32), size(storedBytes), size(plainBytes)]);
}

/** 4.3.12. `offset` is where the local header begins. */
export function centralHeader(entry: ZipEntry, content: ZipContent, offset: number): Uint8Array {
  const { plainBytes, storedBytes, crc32 } = content;
  // 4.5.3: in this order, and only those that do not fit.
  const large = [plainBytes, storedBytes, offset].filter((value) => value >= escape32);
  const zip64 = large.length > 0 ? [extraField(0x0001, large.map(u64))] : [];
  const extra = concat([...zip64, ...unixExtras(entry)]);
  const attributes =
    (((kindBits[entry.kind] | (entry.mode & 0o7777)) << 16) >>> 0) + (entry.kind === "directory" ? dosDirectory : 0);
  return concat([
    u32(0x0201_4b50),
    u16(madeByUnix),
    ...common(entry, entry.isLarge || large.length > 0),
    u32(crc32),
    u32(Math.min(storedBytes, escape32)),
    u32(Math.min(plainBytes, escape32)),
    u16(entry.path.length),
    u16(extra.length),
    // No comment, disk 0, no internal attributes.
    u16(0),
    u16(0),
    u16(0),
    u32(attributes),
    u32(Math.min(offset, escape32)),
    entry.path,
    extra,
  ]);
}

/** 4.3.14 to 4.3.16: what stands behind all central headers, which begin at `offset`. */
export function endRecords(entries: number, centralBytes: number, offset: number): Uint8Array {
  const small = concat([
    u32(0x0605_4b50),
    u32(0),
    u16(Math.min(entries, escape16)),
    u16(Math.min(entries, escape16)),
    u32(Math.min(centralBytes, escape32)),
    u32(Math.min(offset, escape32)),
    u16(0),
  ]);
  if (entries < escape16 && centralBytes < escape32 && offset < escape32) return small;
  const counts = [u64(entries), u64(entries), u64(centralBytes), u64(offset)];
  // 44: the length of the record behind its own length field.
  const record = [u32(0x0606_4b50), u64(44), u16(madeByUnix), u16(zip64Version), u32(0), u32(0), ...counts];
  const locator = [u32(0x0706_4b50), u32(0), u64(offset + centralBytes), u32(1)];
  return concat([...record, ...locator, small]);
}

/** What local and central headers share: version, flags, method, time. */
function common(entry: ZipEntry, isZip64: boolean): readonly Uint8Array[] {
  const flags = utf8Flag | (entry.isStreamed ? streamedFlag : 0);
  const { time, date } = dosTime(entry.modifiedMs);
  return [u16(isZip64 ? zip64Version : plainVersion), u16(flags), u16(entry.isDeflated ? 8 : 0), u16(time), u16(date)];
}

function unixExtras({ modifiedMs, uid, gid }: ZipEntry): readonly Uint8Array[] {
  const seconds = Math.floor(modifiedMs / 1000);
  // A field of 32 bits with a sign: other times stand in DOS's own field only.
  const fits = seconds >= -0x8000_0000 && seconds <= 0x7fff_ffff;
  const time = fits ? [extraField(0x5455, [Uint8Array.of(1), u32(seconds >>> 0)])] : [];
  const owner = extraField(0x7875, [Uint8Array.of(1, 4), u32(uid), Uint8Array.of(4), u32(gid)]);
  return [...time, owner];
}

function extraField(id: number, parts: readonly Uint8Array[]): Uint8Array {
  const data = concat(parts);
  return concat([u16(id), u16(data.length), data]);
}

/** 4.4.6: local time, as every program writes it, in steps of two seconds from 1980 to 2107. */
function dosTime(ms: number): { readonly time: number; readonly date: number } {
  const at = new Date(ms);
  const year = at.getFullYear();
  if (year < 1980) return { time: 0, date: (1 << 5) | 1 };
  if (year > 2107) return { time: (23 << 11) | (59 << 5) | 29, date: (127 << 9) | (12 << 5) | 31 };
  return {
    time: (at.getHours() << 11) | (at.getMinutes() << 5) | (at.getSeconds() >> 1),
    date: ((year - 1980) << 9) | ((at.getMonth() + 1) << 5) | at.getDate(),
  };
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, value >>> 8);
}

function u32(value: number): Uint8Array {
  return Uint8Array.of(value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24);
}

function u64(value: number): Uint8Array {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return Buffer.concat(parts);
}
