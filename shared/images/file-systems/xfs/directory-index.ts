/** The index of a directory: which of its entries have a given hash. It lies in the only block, in one leaf, or in leaves below nodes. */
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { indexEntryBytes } from "./directory-block.ts";
import { indexOffset, readEntryBlock } from "./directory-blocks.ts";
import { hashLeaves } from "./hash-tree.ts";
import type { Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";

/** XFS_DIR2_LEAF1_MAGIC, XFS_DIR2_LEAFN_MAGIC and those of version 3. */
const leafMagics: readonly number[] = [0xd2f1, 0xd2ff, 0x3df1, 0x3dff];

/** Bytes of the directory at which entries with that hash lie. */
export async function* indexedAddresses(
  metadata: Metadata,
  inode: Inode,
  hash: number,
  signal: AbortSignal,
): AsyncGenerator<number> {
  const { superblock } = metadata;
  const only = await readEntryBlock(metadata, inode, 0, signal);
  if (only.indexCount !== undefined) {
    yield* equalHashes(only.view, only.end, only.indexCount, hash);
    return;
  }
  const step = superblock.directoryBlockBytes / superblock.blockBytes;
  const root = indexOffset / superblock.blockBytes;
  const tree = { metadata, inode, fork: inode.data, step, root, name: "directory index" };
  const [countAt, entriesAt] = superblock.features.checksums ? [56, 64] : [12, 16];
  for await (const { view, magic } of hashLeaves(tree, hash, signal)) {
    if (!leafMagics.includes(magic)) throw imageCorrupt(view.where, "it is no leaf of a directory");
    const count = view.u16be(countAt);
    yield* equalHashes(view, entriesAt, count, hash);
    // Hashes ascend over the leaves: one with a larger hash ends the search.
    if (count > 0 && view.u32be(entriesAt + (count - 1) * indexEntryBytes) > hash) return;
  }
}

function* equalHashes(view: ByteView, start: number, count: number, hash: number): Generator<number> {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (view.u32be(start + middle * indexEntryBytes) < hash) low = middle + 1;
    else high = middle;
  }
  for (let index = low; index < count; index++) {
    const at = start + index * indexEntryBytes;
    if (view.u32be(at) !== hash) return;
    // In units of 8 bytes; 0 marks an entry that was removed.
    const address = view.u32be(at + 4) * 8;
    if (address !== 0) yield address;
  }
}
