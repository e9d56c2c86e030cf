/**
 * A block of a directory's entries: one that also holds their index ("block" format, all in one) or one of many ("data"). Entries and
 * free stretches follow each other without a gap, so it is read from its first to its last byte.
 */
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { RawEntry } from "./directory-entry.ts";
import type { Superblock } from "./superblock.ts";

/** XFS_DIR3_BLOCK_MAGIC ("XDB3") and its like; with the bytes of the header. */
const formats = {
  plain: { single: 0x58443242, data: 0x58443244, header: 16 },
  checked: { single: 0x58444233, data: 0x58444433, header: 64 },
} as const;
/** Entries and free stretches begin at multiples of 8 bytes (XFS_DIR2_DATA_ALIGN). */
const alignment = 8;
/** XFS_DIR2_DATA_FREE_TAG. */
const freeTag = 0xffff;
/** struct xfs_dir2_leaf_entry, and the tail of a single block: count and stale. */
export const indexEntryBytes = 8;
const tailBytes = 8;

export interface DirectoryBlock {
  readonly view: ByteView;
  readonly start: number;
  /** Where the entries end; in a single block the index follows. */
  readonly end: number;
  /** Entries of the index of a single block; undefined for others. */
  readonly indexCount: number | undefined;
}

export function parseDirectoryBlock(view: ByteView, checksums: boolean): DirectoryBlock {
  const format = checksums ? formats.checked : formats.plain;
  const magic = view.u32be(0);
  if (magic === format.data) return { view, start: format.header, end: view.length, indexCount: undefined };
  if (magic !== format.single) throw imageCorrupt(view.where, "it is no block of a directory");
  const indexCount = view.u32be(view.length - tailBytes);
  const end = view.length - tailBytes - indexCount * indexEntryBytes;
  if (end < format.header) throw imageCorrupt(view.where, `its index cannot have ${indexCount} entries`);
  return { view, start: format.header, end, indexCount };
}

export function* blockEntries(block: DirectoryBlock, superblock: Superblock): Generator<RawEntry> {
  const { view } = block;
  for (let at = block.start; at < block.end;) {
    if (view.u16be(at) === freeTag) {
      const length = view.u16be(at + 2);
      if (length < alignment || length % alignment !== 0)
        throw imageCorrupt(view.where, "a free stretch has no length");
      at += length;
      continue;
    }
    const { entry, length } = entryAt(view, at, superblock);
    if (at + length > block.end) throw imageCorrupt(view.where, "an entry reaches beyond its end");
    yield entry;
    at += length;
  }
}

/** The entry at byte `at` and the bytes it takes: inode, length, name, kind, and the place of the entry as its last two bytes. */
export function entryAt(view: ByteView, at: number, superblock: Superblock): { entry: RawEntry; length: number } {
  const nameLength = view.u8(at + 8);
  const typeBytes = superblock.features.fileTypes ? 1 : 0;
  const length = Math.ceil((8 + 1 + nameLength + typeBytes + 2) / alignment) * alignment;
  if (view.u16be(at + length - 2) !== at)
    throw imageCorrupt(view.where, `the entry at byte ${at} does not name its place`);
  const type = typeBytes === 1 ? view.u8(at + 9 + nameLength) : 0;
  return { entry: { name: view.slice(at + 9, nameLength), inode: view.u64be(at), type }, length };
}
