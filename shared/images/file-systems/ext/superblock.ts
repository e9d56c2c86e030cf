/**
 * The superblock: 1,024 bytes at byte 1,024 of the file system (struct ext4_super_block in fs/ext4/ext4.h). The copies in other block
 * groups are not read: as with mount(8), they are for repair.
 */
import { ByteView } from "../../byte-view.ts";
import { crc32cRaw } from "../../crc32c.ts";
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import type { ExtFeatures } from "./features.ts";
import { compatible, extType, incompatible, readOnlyCompatible, refuseUnknownFeatures } from "./features.ts";

export const superblockOffset = 1024;
export const superblockBytes = 1024;
const magic = 0xef53;
const checksumAt = 0x3fc;
const where = "ext superblock";

export interface ExtSuperblock {
  readonly type: "ext2" | "ext3" | "ext4";
  readonly features: ExtFeatures;
  readonly label: string | undefined;
  readonly uuid: Uint8Array;
  readonly blockBytes: number;
  readonly blocks: number;
  readonly firstDataBlock: number;
  readonly blocksPerGroup: number;
  readonly groups: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly inodeBytes: number;
  /** The first inode that is not reserved. */
  readonly firstInode: number;
  readonly descriptorBytes: number;
  readonly firstMetaGroup: number;
  /** The two groups with copies under sparse_super2. */
  readonly backupGroups: readonly [number, number];
  /** Start of all CRC-32C sums of metadata but the superblock's own. */
  readonly checksumSeed: number;
  readonly madeByLinux: boolean;
  /** Inode 0: no journal within the file system. */
  readonly journalInode: number;
  /** Was unmounted, or is kept sound by its journal (EXT4_VALID_FS). */
  readonly valid: boolean;
  /** The kernel has met damage in it (EXT4_ERROR_FS). */
  readonly hasErrors: boolean;
}

export function hasMagic(bytes: Uint8Array): boolean {
  return bytes.length >= 0x3a && new ByteView(bytes, where).u16le(0x38) === magic;
}

export function readFeatures(view: ByteView): ExtFeatures {
  // Revision 0 has none, whatever the bytes say.
  if (view.u32le(0x4c) === 0) return { compatible: 0, incompatible: 0, readOnlyCompatible: 0 };
  return { compatible: view.u32le(0x5c), incompatible: view.u32le(0x60), readOnlyCompatible: view.u32le(0x64) };
}

/**
 * `trusted`: its checksum is not looked at, as the kernel does not after replaying the journal over it (some kernels wrote it into
 * the journal before summing it).
 */
export function parseSuperblock(bytes: Uint8Array, deviceBytes: number, trusted = false): ExtSuperblock {
  const view = new ByteView(bytes, where);
  if (!hasMagic(bytes)) throw imageCorrupt(where, "it has not the magic number of one");
  const revision = view.u32le(0x4c);
  if (revision > 1) throw notSupported(`Revision ${revision} of the ext format`);
  const features = readFeatures(view);
  refuseUnknownFeatures(features);
  if (!trusted) verifyChecksum(view, features);

  const wide = has(features, "incompatible", incompatible.wide);
  const blockBytes = parseBlockBytes(view);
  const inodeBytes = revision === 0 ? 128 : view.u16le(0x58);
  const uuid = view.slice(0x68, 16);
  const firstDataBlock = view.u32le(0x14);
  const blocks = view.u32le(4) + (wide ? view.u32le(0x150) * 2 ** 32 : 0);
  const blocksPerGroup = view.u32le(0x20);
  const superblock: ExtSuperblock = {
    type: extType(features),
    features,
    label: new TextDecoder().decode(untilNul(view.slice(0x78, 16))) || undefined,
    uuid,
    blockBytes,
    blocks,
    firstDataBlock,
    blocksPerGroup,
    groups: Math.ceil((blocks - firstDataBlock) / blocksPerGroup),
    inodes: view.u32le(0),
    inodesPerGroup: view.u32le(0x28),
    inodeBytes,
    firstInode: revision === 0 ? 11 : view.u32le(0x54),
    descriptorBytes: wide ? view.u16le(0xfe) : 32,
    firstMetaGroup: view.u32le(0x104),
    backupGroups: [view.u32le(0x24c), view.u32le(0x250)],
    checksumSeed: has(features, "incompatible", incompatible.checksumSeed)
      ? view.u32le(0x270)
      : crc32cRaw(0xffffffff, uuid),
    madeByLinux: view.u32le(0x48) === 0,
    journalInode: has(features, "compatible", compatible.hasJournal) ? view.u32le(0xe0) : 0,
    valid: (view.u16le(0x3a) & 1) !== 0,
    hasErrors: (view.u16le(0x3a) & 2) !== 0,
  };
  checkGeometry(superblock, deviceBytes);
  return superblock;
}

export function has(features: ExtFeatures, kind: keyof ExtFeatures, mask: number): boolean {
  return (features[kind] & mask) !== 0;
}

export function checksums(superblock: ExtSuperblock): boolean {
  return has(superblock.features, "readOnlyCompatible", readOnlyCompatible.metadataChecksums);
}

function verifyChecksum(view: ByteView, features: ExtFeatures): void {
  if (!has(features, "readOnlyCompatible", readOnlyCompatible.metadataChecksums)) return;
  const kind = view.u8(0x175);
  if (kind !== 1) throw notSupported(`The kind ${kind} of ext metadata checksums`);
  if (crc32cRaw(0xffffffff, view.slice(0, checksumAt)) === view.u32le(checksumAt)) return;
  throw imageCorrupt(where, "its checksum is wrong");
}

/** 1 to 64 KiB. */
function parseBlockBytes(view: ByteView): number {
  const logarithm = view.u32le(0x18);
  if (logarithm > 6) throw imageCorrupt(where, `it says blocks of 2^${logarithm} KiB`);
  return 1024 << logarithm;
}

/** What ext4_check_geometry and its neighbours in fs/ext4/super.c refuse. */
function checkGeometry(superblock: ExtSuperblock, deviceBytes: number): void {
  const { blockBytes, blocks, firstDataBlock, blocksPerGroup, groups, inodes, inodesPerGroup } = superblock;
  const { inodeBytes, descriptorBytes } = superblock;
  const refuse = (wrong: boolean, what: string): void => {
    if (wrong) throw imageCorrupt(where, what);
  };
  refuse(
    !powerOfTwo(inodeBytes) || inodeBytes < 128 || inodeBytes > blockBytes,
    `it says inodes of ${inodeBytes} bytes`,
  );
  const oddDescriptor = !powerOfTwo(descriptorBytes) || descriptorBytes > 1024;
  const wide = has(superblock.features, "incompatible", incompatible.wide);
  refuse(oddDescriptor || descriptorBytes < (wide ? 64 : 32), `it says group descriptors of ${descriptorBytes} bytes`);
  refuse(
    blocks * blockBytes > deviceBytes,
    `its ${blocks} blocks are more than the device of ${deviceBytes} bytes holds`,
  );
  refuse(firstDataBlock > 1 || firstDataBlock >= blocks, `its first data block is ${firstDataBlock} of ${blocks}`);
  // A bitmap is one block; under bigalloc its bits are clusters, of at most 2^16 blocks.
  const big = has(superblock.features, "readOnlyCompatible", readOnlyCompatible.bigAllocation);
  const mostBlocks = blockBytes * 8 * (big ? 2 ** 16 : 1);
  refuse(blocksPerGroup === 0 || blocksPerGroup > mostBlocks, `it says ${blocksPerGroup} blocks a group`);
  refuse(inodesPerGroup === 0 || inodesPerGroup > blockBytes * 8, `it says ${inodesPerGroup} inodes a group`);
  refuse(groups * inodesPerGroup !== inodes, `its ${inodes} inodes are not ${groups} groups of ${inodesPerGroup}`);
}

function powerOfTwo(value: number): boolean {
  return value > 0 && (value & (value - 1)) === 0;
}

function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}
