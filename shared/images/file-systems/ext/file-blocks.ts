/** Where the blocks of an inode lie, whatever kind of map it has. */
import { imageCorrupt } from "../../image-errors.ts";
import { MapNodes } from "./map-nodes.ts";
import { blockMapRuns } from "./block-map.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { extentRuns } from "./extent-tree.ts";
import type { ExtInode } from "./inode.ts";
import { isSet } from "./inode.ts";

/** `count` blocks of a file from its block `first`. */
export interface BlockRun {
  readonly first: number;
  readonly count: number;
  /** The block of the file system with the first of them; missing where they read as zeros. */
  readonly physical: number | undefined;
}

/** Logical block numbers have 32 bits. */
const mostBlocks = 2 ** 32;

/** All blocks from `from` to before `to`, in order and without gaps, holes too; neighbours come as one run. */
export async function* fileBlocks(
  volume: ExtVolume,
  inode: ExtInode,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<BlockRun> {
  if (to > mostBlocks) throw imageCorrupt(inode.where, `its ${inode.sizeBytes} bytes are more than any map can hold`);
  const mapped = isSet(inode, "extents") ? extentRuns : blockMapRuns;
  const nodes = new MapNodes(volume, inode.where);
  let pending: BlockRun = { first: from, count: 0, physical: undefined };
  const push = function* (run: BlockRun): Generator<BlockRun> {
    if (run.count === 0) return;
    if (follows(pending, run)) {
      pending = { ...pending, count: pending.count + run.count };
      return;
    }
    if (pending.count > 0) yield pending;
    pending = run;
  };
  let at = from;
  let mappedBlocks = 0;
  for await (const run of mapped(nodes, inode, from, to, signal)) {
    const cut = clip(run, from, to);
    if (cut.physical !== undefined) mappedBlocks += cut.count;
    // No two blocks of a file are one: else a few kilobytes of damage would read as terabytes.
    if (mappedBlocks > volume.superblock.blocks) throw imageCorrupt(inode.where, "it has more blocks than there are");
    yield* push({ first: at, count: cut.first - at, physical: undefined });
    yield* push(cut);
    at = cut.first + cut.count;
  }
  yield* push({ first: at, count: to - at, physical: undefined });
  if (pending.count > 0) yield pending;
}

function clip(run: BlockRun, from: number, to: number): BlockRun {
  const first = Math.max(run.first, from);
  const count = Math.min(run.first + run.count, to) - first;
  return { first, count, physical: run.physical === undefined ? undefined : run.physical + first - run.first };
}

function follows(before: BlockRun, run: BlockRun): boolean {
  if (before.count === 0 || before.physical === undefined || run.physical === undefined) {
    return before.count > 0 && before.physical === run.physical;
  }
  return before.physical + before.count === run.physical;
}
