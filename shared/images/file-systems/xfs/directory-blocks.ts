/** The blocks of a directory that hold its entries. */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { DirectoryBlock } from "./directory-block.ts";
import { parseDirectoryBlock } from "./directory-block.ts";
import { extentsFrom } from "./extents.ts";
import { readForkBlocks } from "./fork-blocks.ts";
import type { Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";

/** Bytes of the directory at which its index begins (XFS_DIR2_LEAF_OFFSET): entries lie before. */
export const indexOffset = 32 * 2 ** 30;

export async function* entryBlocks(
  metadata: Metadata,
  inode: Inode,
  signal: AbortSignal,
): AsyncGenerator<DirectoryBlock> {
  const { blockBytes, directoryBlockBytes } = metadata.superblock;
  const step = directoryBlockBytes / blockBytes;
  const end = indexOffset / blockBytes;
  // A damaged directory could name one block ever again: each place counts once.
  const seen = new Set<number>();
  let next = 0;
  for await (const extent of extentsFrom(metadata, inode, inode.data, 0, signal)) {
    if (extent.offset >= end) return;
    for (let at = Math.max(next, extent.offset); at < extent.offset + extent.count && at < end; at = next) {
      const place = extent.block + at - extent.offset;
      if (at % step !== 0 || seen.has(place)) throw imageCorrupt(inode.where, "its directory blocks are not in order");
      seen.add(place);
      yield readEntryBlock(metadata, inode, at, signal);
      next = at + step;
    }
  }
}

/** `offset`: of the directory, in blocks of the file system. */
export async function readEntryBlock(
  metadata: Metadata,
  inode: Inode,
  offset: number,
  signal: AbortSignal,
): Promise<DirectoryBlock> {
  const { blockBytes, directoryBlockBytes, features } = metadata.superblock;
  const where = `XFS directory block ${offset} of inode ${inode.number}`;
  const read = await readForkBlocks(
    metadata,
    inode,
    inode.data,
    offset,
    directoryBlockBytes / blockBytes,
    where,
    signal,
  );
  const view = new ByteView(read.bytes, where);
  metadata.verify(view, read.block, { checksum: 4, address: 8, uuid: 24, owner: { at: 40, inode: inode.number } });
  return parseDirectoryBlock(view, features.checksums);
}
