/** Reparse points: files that stand for something else, which a tag names. Tags and layouts: [MS-FSCC] 2.1.2. */
import { ByteView } from "../../byte-view.ts";
import { decodeFileName } from "../../file-name.ts";
import { decodeUtf16Name } from "../../utf16-name.ts";

export interface ReparsePoint {
  readonly tag: number;
  readonly data: ByteView;
}

/** [MS-FSCC] 2.1.2: at most 16 KiB. */
export const longestReparsePoint = 16 * 1024;

export const reparseTags = {
  mountPoint: 0xa0000003,
  symbolicLink: 0xa000000c,
  systemCompression: 0x80000017,
  wslLink: 0xa000001d,
  wslSocket: 0x80000023,
  wslFifo: 0x80000024,
  wslCharacterDevice: 0x80000025,
  wslBlockDevice: 0x80000026,
  /** 16 tags, which differ in the bits of 0xf000. */
  cloudFiles: 0x9000001a,
} as const;

/** Whose content is kept elsewhere or in another way. */
const storedOtherwise = new Map([
  [reparseTags.systemCompression, "NTFS system compression (WOF)"],
  [0x80000013, "NTFS data deduplication"],
  [0x80000007, "the NTFS single instance store"],
  [0xc0000004, "NTFS remote storage (HSM)"],
  [0x80000006, "NTFS remote storage (HSM2)"],
  [0x80000018, "the container isolation of Windows (WCI)"],
  [0x9000001c, "the projected file system of Windows"],
]);

export function parseReparsePoint(value: ByteView): ReparsePoint {
  return { tag: value.u32le(0), data: value.sub(8, value.u16le(4), value.where) };
}

export function isCloudFile(tag: number): boolean {
  return (tag & 0xffff0fff) >>> 0 === reparseTags.cloudFiles;
}

/** What `notSupported` calls a file whose content the tag keeps away. */
export function storedAs(tag: number): string {
  const name = storedOtherwise.get(tag) ?? (isCloudFile(tag) ? "a cloud provider's placeholder" : undefined);
  const number = `reparse tag 0x${tag.toString(16).padStart(8, "0")}`;
  return name === undefined ? `The content of an NTFS file with the ${number}` : `A file in ${name}, ${number},`;
}

/** Where a link leads; `undefined` for what is no link. */
export function linkTarget(point: ReparsePoint): string | undefined {
  const { tag, data } = point;
  if (tag === reparseTags.wslLink) return decodeFileName(data.slice(4, data.length - 4));
  // A symbolic link has a word of flags before its names, a mount point has not.
  if (tag === reparseTags.symbolicLink) return windowsPath(substituteName(data, 12));
  return tag === reparseTags.mountPoint ? windowsPath(substituteName(data, 8)) : undefined;
}

function substituteName(data: ByteView, namesAt: number): string {
  return decodeUtf16Name(new ByteView(data.bytes, data.where).slice(namesAt + data.u16le(0), data.u16le(2)));
}

/** The kernel's names begin with `\??\`: what is left of them is what `mklink` takes. Relative targets have no such prefix. */
function windowsPath(name: string): string {
  if (!name.startsWith("\\??\\")) return name;
  const rest = name.slice(4);
  if (rest.startsWith("UNC\\")) return `\\\\${rest.slice(4)}`;
  return /^[A-Za-z]:/.test(rest) ? rest : `\\\\?\\${rest}`;
}
