/**
 * Replays the creation of inodes (struct xfs_icreate_log, big-endian): blocks full of free inodes, which are not logged themselves. What
 * was made of them comes later in the log, so what lies on disk need not be kept, even where it is newer.
 */
import { imageCorrupt } from "../../../image-errors.ts";
import { writeChecksum } from "../checksum.ts";
import { inodeMagic } from "../inode.ts";
import type { Superblock } from "../superblock.ts";
import type { LogItem } from "./log-item.ts";
import { regionOf } from "./log-item.ts";
import type { Replay } from "./replay.ts";

/** XFS_INODE_BIG_CLUSTER_SIZE: bytes of inodes of 256 bytes that are one buffer. */
const clusterBytes = 8192;

export async function replayCreation(replay: Replay, item: LogItem, signal: AbortSignal): Promise<void> {
  const { superblock, blocks, cancelled } = replay;
  const view = regionOf(item.regions, 0, "XFS log");
  const [group, block, count] = [view.u32be(4), view.u32be(8), view.u32be(12)];
  const [inodeBytes, length, generation] = [view.u32be(16), view.u32be(20), view.u32be(24)];
  const perBlock = 2 ** superblock.inodeBits;
  // The kernel makes at most one chunk of 64 inodes, or a block where that holds more.
  const fits = length > 0 && count === length * perBlock && count <= Math.max(64, perBlock);
  if (inodeBytes !== superblock.inodeBytes || !fits || block + length > superblock.groupBlocks) {
    throw imageCorrupt(view.where, "the creation of inodes is not valid");
  }
  const start = (group * superblock.groupBlocks + block) * superblock.blockBytes;
  if (isCancelled(start, length)) return;
  const bytes = new Uint8Array(count * inodeBytes);
  for (let index = 0; index < count; index++) {
    const number = (group * 2 ** superblock.groupBlockBits + block) * perBlock + index;
    formatFree(bytes.subarray(index * inodeBytes, (index + 1) * inodeBytes), number, generation, superblock);
  }
  await blocks.write(start, bytes, view.where, signal);

  function isCancelled(offset: number, blockCount: number): boolean {
    const step = clusterBlocks(superblock);
    for (let at = 0; at < blockCount; at += step) {
      const sector = (offset + at * superblock.blockBytes) / 512;
      if (cancelled.has({ sector, sectorCount: (step * superblock.blockBytes) / 512 })) return true;
    }
    return false;
  }
}

/** Blocks of one buffer of inodes (xfs_ialloc_setup_geometry). */
function clusterBlocks({ inodeBytes, inodeAlignment, blockBytes, features }: Superblock): number {
  const wide = (clusterBytes * inodeBytes) / 256;
  const aligned = features.checksums && inodeAlignment >= Math.floor(wide / blockBytes);
  return Math.max(1, Math.floor((aligned ? wide : clusterBytes) / blockBytes));
}

function formatFree(inode: Uint8Array, number: number, generation: number, superblock: Superblock): void {
  const view = new DataView(inode.buffer, inode.byteOffset, inode.length);
  view.setUint16(0, inodeMagic);
  view.setUint8(4, superblock.features.checksums ? 3 : 2);
  view.setUint32(92, generation);
  // NULLAGINO: it is in no chain of unlinked inodes.
  view.setUint32(96, 0xffffffff);
  if (!superblock.features.checksums) return;
  view.setBigUint64(152, BigInt(number));
  inode.set(superblock.metadataUuid, 160);
  writeChecksum(inode, 100);
}
