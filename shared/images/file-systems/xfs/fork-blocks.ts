/** Blocks of a fork that make one structure: a directory block or a value of an attribute may lie in several extents. */
import { imageCorrupt } from "../../image-errors.ts";
import { extentsFrom } from "./extents.ts";
import type { Fork, Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";

export interface ForkBlocks {
  readonly bytes: Uint8Array;
  /** The number of the first. */
  readonly block: number;
}

/** `offset` and `count` in blocks of the file system; at most 64 KiB are asked for at once. Throws `image-corrupt` for a hole. */
export async function readForkBlocks(
  metadata: Metadata,
  inode: Inode,
  fork: Fork,
  offset: number,
  count: number,
  where: string,
  signal: AbortSignal,
): Promise<ForkBlocks> {
  const parts: Uint8Array[] = [];
  let first: number | undefined;
  let next = offset;
  for await (const extent of extentsFrom(metadata, inode, fork, offset, signal)) {
    if (extent.offset > next || extent.unwritten) break;
    const block = extent.block + next - extent.offset;
    const here = Math.min(offset + count, extent.offset + extent.count) - next;
    parts.push((await metadata.blocks(block, here, where, signal)).bytes);
    first ??= block;
    next += here;
    if (next === offset + count) break;
  }
  if (first === undefined || next !== offset + count) throw imageCorrupt(where, "it lies in a hole");
  const [only] = parts;
  return { bytes: parts.length === 1 && only !== undefined ? only : Buffer.concat(parts), block: first };
}
