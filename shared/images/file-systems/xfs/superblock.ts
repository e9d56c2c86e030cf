/** The superblock at the device's start (struct xfs_dsb). Everything else is found with the numbers in it, so they are all checked. */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { verifyChecksum } from "./checksum.ts";
import type { XfsFeatures } from "./features.ts";
import { metadataUuidOffset, parseFeatures } from "./features.ts";

export interface Superblock {
  readonly features: XfsFeatures;
  readonly blockBytes: number;
  /** Bits of a block number within its allocation group. */
  readonly groupBlockBits: number;
  readonly groupBlocks: number;
  readonly groupCount: number;
  readonly blockCount: number;
  readonly sectorBytes: number;
  readonly inodeBytes: number;
  /** Bits of an inode's place within its block. */
  readonly inodeBits: number;
  /** Blocks to which inode chunks are aligned. */
  readonly inodeAlignment: number;
  readonly directoryBlockBytes: number;
  readonly rootInode: number;
  /** Block number of the internal log; 0 where the log lies on another device. */
  readonly logStart: number;
  readonly logBlocks: number;
  /** The log sequence number of its last change; 0 in version 4. */
  readonly lsn: bigint;
  readonly label: string | undefined;
  /** Of the file system, as it is shown. */
  readonly uuid: Uint8Array;
  /** As metadata carries it. */
  readonly metadataUuid: Uint8Array;
}

/** XFSB. */
export const superblockMagic = 0x58465342;
/** The longest sector; the superblock fills one. */
export const maxSectorBytes = 32 * 1024;

/** `bytes` are the first `maxSectorBytes` of the device, or all of a shorter one. Throws `image-corrupt`, `not-supported`. */
export function parseSuperblock(bytes: Uint8Array, deviceBytes: number): Superblock {
  const sb = new ByteView(bytes, "XFS superblock");
  if (sb.u32be(0) !== superblockMagic) throw imageCorrupt(sb.where, "it does not begin with XFSB");
  const features = parseFeatures(sb);
  const sectorBytes = powerOfTwo(sb, sb.u16be(102), sb.u8(121), 512, maxSectorBytes, "sectors");
  if (features.checksums) verifyChecksum(sb.sub(0, sectorBytes, sb.where), 224);
  if (sb.u8(126) !== 0) throw imageCorrupt(sb.where, "mkfs.xfs did not finish");
  const blockBytes = powerOfTwo(sb, sb.u32be(4), sb.u8(120), 512, 64 * 1024, "blocks");
  const inodeBytes = powerOfTwo(sb, sb.u16be(104), sb.u8(122), 256, 2048, "inodes");
  // XFS_MAX_BLOCKSIZE: no directory block is longer either.
  const directoryBlockBytes = blockBytes * 2 ** sb.u8(192);
  if (directoryBlockBytes > 64 * 1024) throw imageCorrupt(sb.where, "its directory blocks are too long");
  const groups = parseGroups(sb, blockBytes, deviceBytes);
  const inodeBits = sb.u8(123);
  if (2 ** inodeBits !== blockBytes / inodeBytes) throw imageCorrupt(sb.where, "inodes do not fill its blocks");
  return {
    features,
    blockBytes,
    ...groups,
    sectorBytes,
    inodeBytes,
    inodeBits,
    inodeAlignment: sb.u32be(180),
    directoryBlockBytes,
    rootInode: sb.u64be(56),
    logStart: sb.u64be(48),
    logBlocks: sb.u32be(96),
    lsn: features.checksums ? sb.big64be(240) : 0n,
    label: sb.ascii(108, 12) || undefined,
    uuid: sb.slice(32, 16),
    metadataUuid: sb.slice(metadataUuidOffset(sb), 16),
  };
}

function parseGroups(
  sb: ByteView,
  blockBytes: number,
  deviceBytes: number,
): Pick<Superblock, "groupBlocks" | "groupBlockBits" | "groupCount" | "blockCount"> {
  const [groupBlocks, groupCount, groupBlockBits, blockCount] = [sb.u32be(84), sb.u32be(88), sb.u8(124), sb.u64be(8)];
  // sb_agblklog is the rounded up logarithm: block numbers have as many bits for the block within its group.
  const fits = groupBlockBits <= 31 && groupBlocks > 0 && groupBlocks <= 2 ** groupBlockBits;
  if (!fits || groupBlocks * 2 <= 2 ** groupBlockBits) throw imageCorrupt(sb.where, "its groups have no valid length");
  const inGroups = blockCount > groupBlocks * (groupCount - 1) && blockCount <= groupBlocks * groupCount;
  if (groupCount === 0 || !inGroups) throw imageCorrupt(sb.where, "its groups do not add up to its blocks");
  if (blockCount * blockBytes > deviceBytes) {
    throw imageCorrupt(sb.where, `its ${blockCount} blocks are more than the device holds`);
  }
  return { groupBlocks, groupCount, groupBlockBits, blockCount };
}

function powerOfTwo(sb: ByteView, value: number, bits: number, least: number, most: number, what: string): number {
  if (value >= least && value <= most && value === 2 ** bits) return value;
  throw imageCorrupt(sb.where, `${what} of ${value} bytes are not possible`);
}
