/** A superblock of a small XFS of version 5, for tests that need no image: 4 groups of 1000 blocks of 4096 bytes, the last one shorter. */
import { writeChecksum } from "../../../shared/images/file-systems/xfs/checksum.ts";
import type { Superblock } from "../../../shared/images/file-systems/xfs/superblock.ts";
import { parseSuperblock } from "../../../shared/images/file-systems/xfs/superblock.ts";

export function superblockBytes(): Uint8Array {
  const bytes = new Uint8Array(32 * 1024);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x58465342);
  view.setUint32(4, 4096);
  view.setBigUint64(8, 3900n);
  bytes.fill(0x77, 32, 48); // sb_uuid
  view.setBigUint64(48, 1024n + 100n); // sb_logstart: block 100 of group 1
  view.setBigUint64(56, 128n);
  view.setUint32(84, 1000);
  view.setUint32(88, 4);
  view.setUint32(96, 512); // sb_logblocks: 2 MiB
  view.setUint16(100, 0xb4a5);
  view.setUint16(102, 512);
  view.setUint16(104, 512);
  bytes.set(Buffer.from("label"), 108);
  bytes.set([12, 9, 9, 3, 10], 120);
  view.setUint32(180, 8);
  view.setUint32(216, 0x0b); // ftype, sparse inodes, bigtime
  writeChecksum(bytes.subarray(0, 512), 224);
  return bytes;
}

export function superblockOf(): Superblock {
  return parseSuperblock(superblockBytes(), 2 ** 40);
}
