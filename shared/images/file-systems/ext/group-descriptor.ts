/** Group descriptors: where each group's inode table lies (struct ext4_group_desc; places: descriptor_loc in fs/ext4/super.c). */
import type { ByteView } from "../../byte-view.ts";
import { crc32cRaw } from "../../crc32c.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { crc16 } from "./crc16.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { readBlock, refuseBlocks } from "./ext-volume.ts";
import { littleEndian32 } from "./number-bytes.ts";
import { compatible, incompatible, readOnlyCompatible } from "./features.ts";
import type { ExtSuperblock } from "./superblock.ts";
import { checksums, has, superblockOffset } from "./superblock.ts";

const checksumAt = 0x1e;

/** The first block of the group's inode table. `group` is below `groups`. */
export async function inodeTableOf(volume: ExtVolume, group: number, signal: AbortSignal): Promise<number> {
  const { superblock } = volume;
  const { descriptorBytes, blockBytes } = superblock;
  const where = `ext group descriptor ${group}`;
  const perBlock = blockBytes / descriptorBytes;
  const block = await readBlock(volume, descriptorBlock(superblock, Math.floor(group / perBlock)), where, signal);
  const view = block.sub((group % perBlock) * descriptorBytes, descriptorBytes, where);
  if (view.u16le(checksumAt) !== (descriptorChecksum(superblock, group, view) ?? view.u16le(checksumAt))) {
    throw imageCorrupt(where, "its checksum is wrong");
  }
  const table = view.u32le(8) + (descriptorBytes >= 64 ? view.u32le(0x28) * 2 ** 32 : 0);
  const tableBlocks = Math.ceil((superblock.inodesPerGroup * superblock.inodeBytes) / blockBytes);
  refuseBlocks(volume, table, tableBlocks, where);
  return table;
}

/** The block with the `index`th block of descriptors. */
export function descriptorBlock(superblock: ExtSuperblock, index: number): number {
  const { blockBytes, descriptorBytes, firstDataBlock, blocksPerGroup, features, firstMetaGroup } = superblock;
  if (!has(features, "incompatible", incompatible.metaGroups) || index < firstMetaGroup) {
    return Math.floor(superblockOffset / blockBytes) + 1 + index;
  }
  const group = (blockBytes / descriptorBytes) * index;
  let before = hasSuperblock(superblock, group) ? 1 : 0;
  // Blocks of 1 KiB that are counted from 0 (bigalloc): the superblock is block 1 of group 0.
  if (blockBytes === 1024 && index === 0 && firstDataBlock === 0) before += 1;
  return firstDataBlock + group * blocksPerGroup + before;
}

function hasSuperblock({ features, backupGroups }: ExtSuperblock, group: number): boolean {
  if (group === 0) return true;
  if (has(features, "compatible", compatible.sparseSuperblocks2)) return backupGroups.includes(group);
  if (group === 1 || !has(features, "readOnlyCompatible", readOnlyCompatible.sparseSuperblocks)) return true;
  return [3, 5, 7].some((base) => isPower(group, base));
}

function isPower(value: number, base: number): boolean {
  let rest = value;
  while (rest > 1 && rest % base === 0) rest /= base;
  return rest === 1;
}

/** Missing where the file system has none. */
export function descriptorChecksum(superblock: ExtSuperblock, group: number, view: ByteView): number | undefined {
  const before = view.slice(0, checksumAt);
  const after = view.slice(checksumAt + 2, view.length - checksumAt - 2);
  if (checksums(superblock)) {
    const start = crc32cRaw(crc32cRaw(superblock.checksumSeed, littleEndian32(group)), before);
    return crc32cRaw(crc32cRaw(start, new Uint8Array(2)), after) & 0xffff;
  }
  if (has(superblock.features, "readOnlyCompatible", readOnlyCompatible.groupChecksums)) {
    return crc16(crc16(crc16(crc16(0xffff, superblock.uuid), littleEndian32(group)), before), after);
  }
  return undefined;
}
