/** Directories, read block by block in the order of the disk: the tree of hashes that large ones have is not needed for that. */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import type { RawEntry } from "./directory-block.ts";
import { directoryEntries, verifyDirectoryBlock } from "./directory-block.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { readBlock } from "./ext-volume.ts";
import { fileBlocks } from "./file-blocks.ts";
import { refuseEncrypted } from "./file-content.ts";
import { inlineRest } from "./inline-data.ts";
import type { ExtInode } from "./inode.ts";
import { isSet } from "./inode.ts";
import { checksums } from "./superblock.ts";

/** A set holds 2^24 values (V8). Of 4 KiB these are 32 GiB of names; without `large_dir` the kernel stops at 2 GiB. */
const maxBlocks = 2 ** 23;

/** Entries block by block. Throws `not-supported` for an encrypted one: its names are not readable without the key. */
export async function* readDirectory(
  volume: ExtVolume,
  inode: ExtInode,
  signal: AbortSignal,
): AsyncGenerator<readonly RawEntry[]> {
  refuseEncrypted(inode);
  const { superblock } = volume;
  for await (const view of isSet(inode, "inline") ? inlineParts(inode) : directoryBlocks(volume, inode, signal)) {
    yield [...directoryEntries(superblock, view)];
  }
}

/** The first four bytes are the parent's inode; what is over lies behind the inode's fields. */
function inlineParts(inode: ExtInode): ByteView[] {
  const where = `${inode.where}, inline directory`;
  const first = inode.root.sub(4, inode.root.length - 4, where);
  return [first, new ByteView(inlineRest(inode).bytes, where)];
}

async function* directoryBlocks(volume: ExtVolume, inode: ExtInode, signal: AbortSignal): AsyncGenerator<ByteView> {
  const { blockBytes, blocks } = volume.superblock;
  const count = Math.ceil(inode.sizeBytes / blockBytes);
  if (count > blocks) throw imageCorrupt(inode.where, `it is a directory of ${count} blocks, in ${blocks} in all`);
  if (count > maxBlocks) throw notSupported(`A directory of more than ${maxBlocks} blocks`);
  // A damaged map could lead to one block again and again, and its names would come as often.
  const seen = new Set<number>();
  for await (const run of fileBlocks(volume, inode, 0, count, signal)) {
    // The kernel passes over holes.
    if (run.physical === undefined) continue;
    for (let index = 0; index < run.count; index++) {
      const where = `${inode.where}, directory block ${run.first + index}`;
      if (seen.has(run.physical + index)) throw imageCorrupt(where, "it is a block that came before");
      seen.add(run.physical + index);
      const view = await readBlock(volume, run.physical + index, where, signal);
      if (checksums(volume.superblock)) verifyDirectoryBlock(inode, view, run.first + index);
      yield view;
    }
  }
}
