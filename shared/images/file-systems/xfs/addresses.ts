/**
 * Where block and inode numbers lie. A block number is the group's number, then `groupBlockBits` bits of the block within the group;
 * an inode number has `inodeBits` more, for the place within the block. Numbers have up to 52 bits, so no shifts here.
 */
import { imageCorrupt } from "../../image-errors.ts";
import type { Superblock } from "./superblock.ts";

/** The byte of the device at which `count` blocks begin. Throws `image-corrupt` where they are not all within one group. */
export function blockOffset(sb: Superblock, block: number, count: number, where: string): number {
  const group = Math.floor(block / 2 ** sb.groupBlockBits);
  const within = block % 2 ** sb.groupBlockBits;
  const first = group * sb.groupBlocks + within;
  const known = Number.isSafeInteger(block) && block >= 0 && group < sb.groupCount;
  if (!known || count < 1 || within + count > sb.groupBlocks || first + count > sb.blockCount) {
    throw imageCorrupt(where, `${count} blocks from ${block} are not within the file system`);
  }
  return first * sb.blockBytes;
}

/** The byte of the device at which an inode begins. */
export function inodeOffset(sb: Superblock, inode: number): number {
  const place = inode % 2 ** sb.inodeBits;
  const block = Math.floor(inode / 2 ** sb.inodeBits);
  return blockOffset(sb, block, 1, inodeName(inode)) + place * sb.inodeBytes;
}

export function inodeName(inode: number): string {
  return `XFS inode ${inode}`;
}
