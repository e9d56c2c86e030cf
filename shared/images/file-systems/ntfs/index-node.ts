/**
 * The nodes of a directory: a B-tree of $FILE_NAMEs, whose root is $INDEX_ROOT and whose other nodes are blocks of $INDEX_ALLOCATION.
 * Layout: fs/ntfs3/ntfs.h, `INDEX_ROOT`, `INDEX_BUFFER`, `NTFS_DE`.
 */
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { attributeTypes } from "./attribute.ts";
import { isPowerOfTwo } from "./boot-sector.ts";
import type { FileReference } from "./file-reference.ts";
import { readReference } from "./file-reference.ts";
import type { NtfsFileName } from "./file-name.ts";
import { parseFileName } from "./file-name.ts";
import { restoreRecord } from "./update-sequence.ts";

export interface IndexEntry {
  /** `undefined` in the last of a node, which only leads to what is greater than all others. */
  readonly key: { readonly file: FileReference; readonly name: NtfsFileName } | undefined;
  /** The block with the entries before this one. */
  readonly childVcn: number | undefined;
}

export interface IndexRoot {
  readonly blockBytes: number;
  readonly entries: readonly IndexEntry[];
}

const entryFlags = { hasChild: 1, last: 2 } as const;

export function parseIndexRoot(value: ByteView): IndexRoot {
  if (value.u32le(0) !== attributeTypes.fileName) throw imageCorrupt(value.where, "it is no index of names");
  const blockBytes = value.u32le(8);
  if (!isPowerOfTwo(blockBytes, 512, 65_536))
    throw imageCorrupt(value.where, `a block cannot have ${blockBytes} bytes`);
  return { blockBytes, entries: parseEntries(value, 16) };
}

export function parseIndexBlock(bytes: Uint8Array, vcn: number, where: string): readonly IndexEntry[] {
  const block = restoreRecord(bytes, "INDX", `${where}, block ${vcn}`);
  if (block.u64le(16) !== vcn) throw imageCorrupt(block.where, `it says that it is block ${block.u64le(16)}`);
  return parseEntries(block, 24);
}

function parseEntries(node: ByteView, headerAt: number): IndexEntry[] {
  const entries: IndexEntry[] = [];
  const end = headerAt + node.u32le(headerAt + 4);
  for (let at = headerAt + node.u32le(headerAt); ;) {
    const length = node.u16le(at + 8);
    const flags = node.u16le(at + 12);
    if (length < 16 || at + length > end) {
      throw imageCorrupt(node.where, `the entry at byte ${at} cannot have ${length} bytes`);
    }
    const last = (flags & entryFlags.last) !== 0;
    const childVcn = (flags & entryFlags.hasChild) === 0 ? undefined : node.u64le(at + length - 8);
    const key = last ? undefined : { file: readReference(node, at), name: parseFileName(keyOf(node, at, length)) };
    entries.push({ key, childVcn });
    if (last) return entries;
    at += length;
  }
}

function keyOf(node: ByteView, at: number, length: number): ByteView {
  const keyBytes = node.u16le(at + 10);
  if (16 + keyBytes > length) throw imageCorrupt(node.where, `the key at byte ${at} is longer than its entry`);
  return node.sub(at + 16, keyBytes, node.where);
}
