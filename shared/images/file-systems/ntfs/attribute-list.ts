/**
 * $ATTRIBUTE_LIST: where the attributes of a file are that does not fit in one record. Layout: fs/ntfs3/ntfs.h, `ATTR_LIST_ENTRY`.
 */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { decodeUtf16Name } from "../../utf16-name.ts";
import type { FileReference } from "./file-reference.ts";
import { readReference } from "./file-reference.ts";

export interface ListedAttribute {
  readonly type: number;
  readonly name: string;
  readonly lowestVcn: number;
  /** The record in which it, or this part of it, stands. */
  readonly holder: FileReference;
  readonly id: number;
}

/** Windows keeps the list within 256 KiB; so do ntfs-3g and the Linux kernel. */
export const longestList = 256 * 1024;

/** `bytes` are at most `longestList`. */
export function parseAttributeList(bytes: Uint8Array, where: string): ListedAttribute[] {
  const view = new ByteView(bytes, where);
  const entries: ListedAttribute[] = [];
  for (let at = 0; at < view.length;) {
    const length = view.u16le(at + 4);
    if (length < 26 || at + length > view.length)
      throw imageCorrupt(where, `the entry at byte ${at} has ${length} bytes`);
    const entry = view.sub(at, length, where);
    entries.push({
      type: entry.u32le(0),
      name: decodeUtf16Name(entry.slice(entry.u8(7), entry.u8(6) * 2)),
      lowestVcn: entry.u64le(8),
      holder: readReference(entry, 16),
      id: entry.u16le(24),
    });
    at += length;
  }
  return entries;
}
