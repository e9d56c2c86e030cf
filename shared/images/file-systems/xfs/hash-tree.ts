/**
 * The tree of hashes (xfs_da_btree) over the leaves of a directory's index and of large sets of attributes. Node blocks name for each
 * child the largest hash in it; leaves are chained.
 */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { readForkBlocks } from "./fork-blocks.ts";
import type { Fork, Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";

export interface HashTree {
  readonly metadata: Metadata;
  readonly inode: Inode;
  readonly fork: Fork;
  /** Of its blocks, and where the first lies, both in blocks of the file system. */
  readonly step: number;
  readonly root: number;
  /** "index" or "attribute": names it in errors. */
  readonly name: string;
}

export interface HashBlock {
  readonly view: ByteView;
  readonly magic: number;
  /** The next leaf; 0 after the last. */
  readonly forward: number;
}

/** XFS_DA_NODE_MAGIC, XFS_DA3_NODE_MAGIC. */
const nodeMagics: readonly number[] = [0xfebe, 0x3ebe];
/** XFS_DA_NODE_MAXDEPTH. */
const maxDepth = 5;

/** The leaves from the first that may hold `hash`, in the order of hashes. */
export async function* hashLeaves(tree: HashTree, hash: number, signal: AbortSignal): AsyncGenerator<HashBlock> {
  let leaf = await firstLeaf(tree, hash, signal);
  if (leaf === undefined) return;
  // The chain of a damaged tree could lead in a circle.
  const seen = new Set<number>();
  for (;;) {
    yield leaf;
    const { forward } = leaf;
    if (forward === 0) return;
    if (seen.has(forward)) throw imageCorrupt(leaf.view.where, "its leaves lead in a circle");
    seen.add(forward);
    leaf = await readHashBlock(tree, forward, signal);
    if (nodeMagics.includes(leaf.magic)) throw imageCorrupt(leaf.view.where, "it is no leaf");
  }
}

async function firstLeaf(tree: HashTree, hash: number, signal: AbortSignal): Promise<HashBlock | undefined> {
  let number = tree.root;
  for (let depth = 0; depth <= maxDepth; depth++) {
    const block = await readHashBlock(tree, number, signal);
    if (!nodeMagics.includes(block.magic)) return block;
    const child = childOf(tree, block.view, hash);
    if (child === undefined) return undefined;
    number = child;
  }
  throw imageCorrupt(tree.inode.where, `the tree of its ${tree.name} is deeper than ${maxDepth} levels`);
}

/** The first child with a hash that is not below; none has it where undefined. */
function childOf(tree: HashTree, view: ByteView, hash: number): number | undefined {
  const checks = tree.metadata.superblock.features.checksums;
  const [countAt, entriesAt] = checks ? [56, 64] : [12, 16];
  const count = view.u16be(countAt);
  for (let index = 0; index < count; index++) {
    const at = entriesAt + index * 8;
    if (view.u32be(at) >= hash) return view.u32be(at + 4);
  }
  return undefined;
}

/** `number`: of the fork, in blocks of the file system. */
async function readHashBlock(tree: HashTree, number: number, signal: AbortSignal): Promise<HashBlock> {
  const { metadata, inode, fork, step } = tree;
  const where = `XFS ${tree.name} block ${number} of inode ${inode.number}`;
  const read = await readForkBlocks(metadata, inode, fork, number, step, where, signal);
  const view = new ByteView(read.bytes, where);
  metadata.verify(view, read.block, { checksum: 12, address: 16, uuid: 32, owner: { at: 48, inode: inode.number } });
  return { view, magic: view.u16be(8), forward: view.u32be(0) };
}
