/**
 * The stretches of a fork (struct xfs_bmbt_rec), in the inode or in a B+tree below it. They ascend strictly: a tree that does not, or
 * whose levels do not fall by one, is damaged. So no walk visits a leaf twice, whatever the pointers say.
 */
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { blockOffset } from "./addresses.ts";
import type { Fork, Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";

/** In blocks of the file system. */
export interface Extent {
  /** Within the file. */
  readonly offset: number;
  /** Of the file system. */
  readonly block: number;
  readonly count: number;
  /** Reserved, never written: reads as zeros. */
  readonly unwritten: boolean;
}

interface Node {
  readonly view: ByteView;
  readonly level: number;
  readonly count: number;
  /** Bytes at which records, or keys and pointers, begin. */
  readonly recordsAt: number;
  readonly pointersAt: number;
}

const recordBytes = 16;
/** XFS_BTREE_MAXLEVELS. */
const maxLevels = 9;
/** BMAP and BMA3, with the bytes of their headers. */
const blockFormats = { plain: { magic: 0x424d4150, header: 24 }, checked: { magic: 0x424d4133, header: 72 } } as const;

/** From the one that holds block `from` of the file, or the first after it. */
export async function* extentsFrom(
  metadata: Metadata,
  inode: Inode,
  fork: Fork,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<Extent> {
  let end = 0;
  for await (const view of leaves(metadata, inode, fork, from, signal)) {
    for (let at = 0; at < view.length; at += recordBytes) {
      const extent = parseExtent(view, at);
      if (extent.count === 0 || extent.offset < end) throw imageCorrupt(view.where, "its extents do not ascend");
      blockOffset(metadata.superblock, extent.block, extent.count, view.where);
      end = extent.offset + extent.count;
      if (end > from) yield extent;
    }
  }
}

/** 1 bit unwritten, 54 bits file offset, 52 bits block, 21 bits count. */
export function parseExtent(view: ByteView, at: number): Extent {
  const [one, two, three, four] = [view.u32be(at), view.u32be(at + 4), view.u32be(at + 8), view.u32be(at + 12)];
  return {
    unwritten: one >= 2 ** 31,
    offset: (one % 2 ** 31) * 2 ** 23 + (two >>> 9),
    block: (two % 2 ** 9) * 2 ** 43 + three * 2 ** 11 + (four >>> 21),
    count: four % 2 ** 21,
  };
}

/** The records of each leaf, from the one that may hold block `from`. */
async function* leaves(
  metadata: Metadata,
  inode: Inode,
  fork: Fork,
  from: number,
  signal: AbortSignal,
): AsyncGenerator<ByteView> {
  if (fork.format === "extents") {
    const fits = fork.extentCount * recordBytes <= fork.bytes.length;
    if (!fits) throw imageCorrupt(inode.where, `${fork.extentCount} extents do not fit into it`);
    yield fork.bytes.sub(0, fork.extentCount * recordBytes, inode.where);
    return;
  }
  if (fork.format !== "btree") throw imageCorrupt(inode.where, "its fork has no extents");
  const root = parseRoot(fork.bytes);
  const path = [{ node: root, index: childOf(root, from) }];
  for (let step = path.at(-1); step !== undefined; step = path.at(-1)) {
    if (step.index >= step.node.count) {
      path.pop();
      continue;
    }
    const child = await readNode(metadata, pointer(step.node, step.index), step.node.level - 1, inode, signal);
    step.index += 1;
    if (child.level === 0) yield child.view.sub(child.recordsAt, child.count * recordBytes, child.view.where);
    else path.push({ node: child, index: childOf(child, from) });
  }
}

/** struct xfs_bmdr_block: keys for as many pointers as would fit, then the pointers. */
function parseRoot(view: ByteView): Node {
  const [level, count] = [view.u16be(0), view.u16be(2)];
  const most = Math.floor((view.length - 4) / recordBytes);
  if (level < 1 || level >= maxLevels || count < 1 || count > most) {
    throw imageCorrupt(view.where, `a B+tree of ${level} levels with ${count} pointers is not possible`);
  }
  return { view, level, count, recordsAt: 4, pointersAt: 4 + most * 8 };
}

async function readNode(
  metadata: Metadata,
  block: number,
  level: number,
  inode: Inode,
  signal: AbortSignal,
): Promise<Node> {
  const where = `XFS extent tree block ${block} of inode ${inode.number}`;
  const view = await metadata.blocks(block, 1, where, signal);
  const { magic, header } = metadata.superblock.features.checksums ? blockFormats.checked : blockFormats.plain;
  if (view.u32be(0) !== magic) throw imageCorrupt(where, "it is no block of an extent tree");
  // The owner is not checked, as the kernel does not: swapping the extents of two files (xfs_fsr) changes it later.
  metadata.verify(view, block, { checksum: 64, address: 24, uuid: 40 });
  const count = view.u16be(6);
  const most = Math.floor((view.length - header) / recordBytes);
  if (view.u16be(4) !== level) throw imageCorrupt(where, `it is of level ${view.u16be(4)}, not ${level}`);
  if (count < 1 || count > most) throw imageCorrupt(where, `it cannot have ${count} records`);
  return { view, level, count, recordsAt: header, pointersAt: header + most * 8 };
}

/** The last child whose key is not beyond `from`. */
function childOf(node: Node, from: number): number {
  let low = 0;
  let high = node.count;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (node.view.u64be(node.recordsAt + middle * 8) <= from) low = middle;
    else high = middle;
  }
  return low;
}

function pointer(node: Node, index: number): number {
  return node.view.u64be(node.pointersAt + index * 8);
}
