/**
 * Block maps: where the blocks of a file of ext2 and ext3 lie. i_block has twelve blocks, and then one block of block numbers, one of
 * blocks of them, and one of blocks of those ("indirect"; fs/ext4/indirect.c).
 */
import type { ByteView } from "../../byte-view.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { refuseBlocks } from "./ext-volume.ts";
import type { BlockRun } from "./file-blocks.ts";
import type { ExtInode } from "./inode.ts";
import type { MapNodes } from "./map-nodes.ts";

const directBlocks = 12;
const pointerBytes = 4;

/** A tree of pointers whose first block is `first`; at level 0 it is the block of data itself. */
interface PointerTree {
  readonly pointer: number;
  readonly level: number;
  readonly first: number;
}

/** As `extentRuns`. */
export async function* blockMapRuns(
  nodes: MapNodes,
  inode: ExtInode,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<BlockRun> {
  const perBlock = nodes.volume.superblock.blockBytes / pointerBytes;
  yield* directRuns(nodes.volume, inode.root, directBlocks, 0, from, to);
  let first = directBlocks;
  for (let level = 1; level <= 3 && first < to; level++) {
    const end = first + perBlock ** level;
    const pointer = inode.root.u32le((directBlocks + level - 1) * pointerBytes);
    if (end > from) yield* treeRuns(nodes, inode, { pointer, level, first }, from, to, signal);
    first = end;
  }
}

/** Calls itself as deep as `level`, which is at most 3. */
async function* treeRuns(
  nodes: MapNodes,
  inode: ExtInode,
  tree: PointerTree,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<BlockRun> {
  if (tree.pointer === 0) return;
  const perBlock = nodes.volume.superblock.blockBytes / pointerBytes;
  const block = await nodes.read(tree.pointer, `${inode.where}, indirect block ${tree.pointer}`, signal);
  if (tree.level === 1) {
    yield* directRuns(nodes.volume, block, perBlock, tree.first, from, to);
    return;
  }
  const span = perBlock ** (tree.level - 1);
  const start = Math.max(0, Math.floor((from - tree.first) / span));
  for (let index = start; index < perBlock && tree.first + index * span < to; index++) {
    const child = {
      pointer: block.u32le(index * pointerBytes),
      level: tree.level - 1,
      first: tree.first + index * span,
    };
    yield* treeRuns(nodes, inode, child, from, to, signal);
  }
}

/** `count` pointers to blocks of data, of which the first is that of block `first`; neighbours come as one run. */
function* directRuns(
  volume: ExtVolume,
  pointers: ByteView,
  count: number,
  first: number,
  from: number,
  to: number,
): Generator<BlockRun> {
  const end = Math.min(count, to - first);
  for (let index = Math.max(0, from - first); index < end;) {
    const physical = pointers.u32le(index * pointerBytes);
    if (physical === 0) {
      index += 1;
      continue;
    }
    let length = 1;
    while (index + length < end && pointers.u32le((index + length) * pointerBytes) === physical + length) length += 1;
    refuseBlocks(volume, physical, length, pointers.where);
    yield { first: first + index, count: length, physical };
    index += length;
  }
}
