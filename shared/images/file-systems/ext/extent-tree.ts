/**
 * Extent trees: where the blocks of a file of ext4 lie (struct ext4_extent_header and its neighbours in fs/ext4/ext4_extents.h). A node
 * lies within the bounds that its parent gives it, and its entries within it in order; empty leaves are bounded by `MapNodes`.
 */
import { ByteView } from "../../byte-view.ts";
import { crc32cRaw } from "../../crc32c.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { refuseBlocks } from "./ext-volume.ts";
import type { BlockRun } from "./file-blocks.ts";
import type { ExtInode } from "./inode.ts";
import type { MapNodes } from "./map-nodes.ts";
import { checksums } from "./superblock.ts";

const magic = 0xf30a;
const headerBytes = 12;
const entryBytes = 12;
/** EXT4_MAX_EXTENT_DEPTH. */
const maxDepth = 5;
/** Logical block numbers have 32 bits. */
const logicalEnd = 2 ** 32;
/** EXT_INIT_MAX_LEN: longer ones are allocated and not written, their length is what is above. */
const maxWritten = 2 ** 15;

interface ExtentNode {
  readonly view: ByteView;
  readonly depth: number;
  readonly entries: number;
  /** Its entries cover blocks from here … */
  readonly floor: number;
  /** … to before here. */
  readonly ceiling: number;
  next: number;
}

/** The mapped blocks from `from` to before `to`, in order; what is between the runs is a hole. */
export async function* extentRuns(
  nodes: MapNodes,
  inode: ExtInode,
  from: number,
  to: number,
  signal: AbortSignal,
): AsyncGenerator<BlockRun> {
  const root = new ByteView(inode.root.bytes, `${inode.where}, extent tree`);
  const path = [openNode(root, undefined, 0, logicalEnd)];
  for (let node = path.at(-1); node !== undefined; node = path.at(-1)) {
    if (node.next === node.entries) {
      path.pop();
      continue;
    }
    const entry = node.next++;
    const first = logicalOf(node, entry);
    if (first >= to) return;
    if (node.depth === 0) {
      const run = leafRun(nodes.volume, node, entry);
      if (run.first + run.count > from) yield run;
    } else if (endOf(node, entry) > from) {
      path.push(await openChild(nodes, inode, node, entry, signal));
    }
  }
}

async function openChild(
  nodes: MapNodes,
  inode: ExtInode,
  parent: ExtentNode,
  entry: number,
  signal: AbortSignal,
): Promise<ExtentNode> {
  const at = headerBytes + entry * entryBytes;
  const block = parent.view.u32le(at + 4) + parent.view.u16le(at + 8) * 2 ** 32;
  const view = await nodes.read(block, `${inode.where}, extent block ${block}`, signal);
  if (checksums(nodes.volume.superblock)) verifyChecksum(inode, view);
  return openNode(view, parent.depth, logicalOf(parent, entry), endOf(parent, entry));
}

function openNode(view: ByteView, parentDepth: number | undefined, floor: number, ceiling: number): ExtentNode {
  const entries = view.u16le(2);
  const most = view.u16le(4);
  const depth = view.u16le(6);
  if (view.u16le(0) !== magic) throw imageCorrupt(view.where, "it has not the magic number of an extent header");
  if (parentDepth === undefined ? depth > maxDepth : depth !== parentDepth - 1) {
    throw imageCorrupt(view.where, `it says depth ${depth}`);
  }
  if (entries > most || headerBytes + most * entryBytes > view.length) {
    throw imageCorrupt(view.where, `it says ${entries} entries of at most ${most}`);
  }
  if (entries === 0 && depth > 0) throw imageCorrupt(view.where, "it is an index and empty");
  const node: ExtentNode = { view, depth, entries, floor, ceiling, next: 0 };
  let reached = floor;
  for (let entry = 0; entry < entries; entry++) {
    const first = logicalOf(node, entry);
    if (first < reached)
      throw imageCorrupt(view.where, `its entry ${entry} begins at block ${first}, before ${reached}`);
    reached = first + (depth === 0 ? lengthOf(node, entry).count : 1);
  }
  if (reached > ceiling) throw imageCorrupt(view.where, `it goes on to block ${reached}, beyond ${ceiling}`);
  return node;
}

function logicalOf(node: ExtentNode, entry: number): number {
  return node.view.u32le(headerBytes + entry * entryBytes);
}

/** Where the next entry of an index begins. */
function endOf(node: ExtentNode, entry: number): number {
  return entry + 1 < node.entries ? logicalOf(node, entry + 1) : node.ceiling;
}

function lengthOf(node: ExtentNode, entry: number): { readonly count: number; readonly written: boolean } {
  const length = node.view.u16le(headerBytes + entry * entryBytes + 4);
  if (length === 0) throw imageCorrupt(node.view.where, `its entry ${entry} has no length`);
  return length <= maxWritten ? { count: length, written: true } : { count: length - maxWritten, written: false };
}

function leafRun(volume: ExtVolume, node: ExtentNode, entry: number): BlockRun {
  const at = headerBytes + entry * entryBytes;
  const { count, written } = lengthOf(node, entry);
  const physical = node.view.u32le(at + 8) + node.view.u16le(at + 6) * 2 ** 32;
  refuseBlocks(volume, physical, count, node.view.where);
  return { first: node.view.u32le(at), count, physical: written ? physical : undefined };
}

/** struct ext4_extent_tail: right after the place of the last possible entry. */
function verifyChecksum(inode: ExtInode, view: ByteView): void {
  const at = headerBytes + view.u16le(4) * entryBytes;
  if (crc32cRaw(inode.checksumSeed, view.slice(0, at)) !== view.u32le(at)) {
    throw imageCorrupt(view.where, "its checksum is wrong");
  }
}
