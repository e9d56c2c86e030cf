import { FarsideError } from "../../../core/errors.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { readBlock } from "./ext-volume.ts";
import { inodeTableOf } from "./group-descriptor.ts";
import type { ExtInode } from "./inode.ts";
import { parseInode } from "./inode.ts";

/** The root directory (EXT4_ROOT_INO). */
export const rootInode = 2;

/** An inode that a name leads to. Reserved ones hold the journal, quotas and the like: no name leads there. */
export async function readInode(volume: ExtVolume, number: number, signal: AbortSignal): Promise<ExtInode> {
  const { firstInode } = volume.superblock;
  refuseNumber(volume, number);
  if (number !== rootInode && number < firstInode) throw imageCorrupt(`ext inode ${number}`, "it is reserved");
  const inode = await readAnyInode(volume, number, signal);
  if (inode.links === 0 || inode.kind === "other")
    throw imageCorrupt(inode.where, "a name leads to it and it is not in use");
  return inode;
}

/** Any inode: also the journal's, or that of an attribute's value. */
export async function readAnyInode(volume: ExtVolume, number: number, signal: AbortSignal): Promise<ExtInode> {
  const { inodesPerGroup, inodeBytes, blockBytes } = volume.superblock;
  refuseNumber(volume, number);
  const where = `ext inode ${number}`;
  const group = Math.floor((number - 1) / inodesPerGroup);
  const at = ((number - 1) % inodesPerGroup) * inodeBytes;
  const table = await inodeTableOf(volume, group, signal);
  const block = await readBlock(volume, table + Math.floor(at / blockBytes), where, signal);
  return parseInode(volume.superblock, number, block.slice(at % blockBytes, inodeBytes));
}

/** Numbers come from directories, where they are checked, or from a caller. */
function refuseNumber(volume: ExtVolume, number: number): void {
  if (Number.isInteger(number) && number >= 1 && number <= volume.superblock.inodes) return;
  throw new FarsideError("bad-input", `There is no inode ${number}: it has ${volume.superblock.inodes}.`);
}
