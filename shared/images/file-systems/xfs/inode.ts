/** Inodes (struct xfs_dinode): the core of 100 bytes (versions 1 and 2) or 176 (version 3), then the data fork, then the attribute fork. */
import type { FileKind } from "../../../ports/file-system.ts";
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { inodeName, inodeOffset } from "./addresses.ts";
import { verifyChecksum } from "./checksum.ts";
import type { Metadata } from "./metadata.ts";
import { sameBytes } from "./metadata.ts";

export type ForkFormat = "device" | "local" | "extents" | "btree";

export interface Fork {
  readonly format: ForkFormat;
  readonly bytes: ByteView;
  readonly extentCount: number;
}

export interface Inode {
  readonly number: number;
  readonly where: string;
  readonly kind: FileKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  readonly sizeBytes: number;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
  /** Version 3 only. */
  readonly createdNs: bigint | undefined;
  /** Its data lies in the realtime section. */
  readonly realtime: boolean;
  readonly data: Fork;
  readonly attributes: Fork | undefined;
}

/** XFS_DINODE_MAGIC, "IN". */
export const inodeMagic = 0x494e;
export const coreBytes = { old: 100, version3: 176 } as const;
/** di_flags and di_flags2. */
const realtimeFlag = 0x0001;
const bigTimeFlag = 0x08n;
const largeCountsFlag = 0x10n;
/** XFS_DINODE_FMT_DEV and on. */
const formats: readonly ForkFormat[] = ["device", "local", "extents", "btree"];
/** Times of "bigtime" inodes count from the earliest that 32 bits of seconds could say. */
const bigTimeEpochNs = 2n ** 31n * 1_000_000_000n;

const kinds: ReadonlyMap<number, FileKind> = new Map([
  [0x1000, "fifo"],
  [0x2000, "character-device"],
  [0x4000, "directory"],
  [0x6000, "block-device"],
  [0x8000, "file"],
  [0xa000, "link"],
  [0xc000, "socket"],
]);

/** Throws `image-corrupt` for a number that is no inode in use. */
export async function readInode(metadata: Metadata, number: number, signal: AbortSignal): Promise<Inode> {
  const { superblock } = metadata;
  const where = inodeName(number);
  const bytes = await metadata.bytes(inodeOffset(superblock, number), superblock.inodeBytes, where, signal);
  const view = new ByteView(bytes, where);
  if (view.u16be(0) !== inodeMagic) throw imageCorrupt(where, "it does not begin with IN");
  if (superblock.features.checksums) {
    verifyChecksum(view, 100);
    if (view.big64be(152) !== BigInt(number)) throw imageCorrupt(where, "it is another inode");
    if (!sameBytes(view.slice(160, 16), superblock.metadataUuid))
      throw imageCorrupt(where, "it is of another file system");
  }
  return parseInode(view, number, superblock.features.checksums);
}

function parseInode(view: ByteView, number: number, checksums: boolean): Inode {
  const version = view.u8(4);
  if (checksums ? version !== 3 : version < 1 || version > 2) {
    throw imageCorrupt(view.where, `version ${version} is not possible`);
  }
  const mode = view.u16be(2);
  if (mode === 0) throw imageCorrupt(view.where, "it is not in use");
  const flags2 = version === 3 ? view.big64be(120) : 0n;
  const bigTime = (flags2 & bigTimeFlag) !== 0n;
  const { data, attributes } = parseForks(view, version, (flags2 & largeCountsFlag) !== 0n);
  return {
    number,
    where: view.where,
    kind: kinds.get(mode & 0xf000) ?? "other",
    mode: mode & 0o7777,
    uid: view.u32be(8),
    gid: view.u32be(12),
    links: version === 1 ? view.u16be(6) : view.u32be(16),
    sizeBytes: view.u64be(56),
    modifiedNs: parseTime(view, 40, bigTime),
    changedNs: parseTime(view, 48, bigTime),
    createdNs: version === 3 ? parseTime(view, 144, bigTime) : undefined,
    realtime: (view.u16be(90) & realtimeFlag) !== 0,
    data,
    attributes,
  };
}

function parseForks(view: ByteView, version: number, largeCounts: boolean): Pick<Inode, "data" | "attributes"> {
  const start = version === 3 ? coreBytes.version3 : coreBytes.old;
  const whole = view.length - start;
  const split = view.u8(82) * 8;
  if (split >= whole && split > 0) throw imageCorrupt(view.where, "its attribute fork begins beyond its end");
  const dataBytes = split === 0 ? whole : split;
  const data = {
    format: forkFormat(view, 5),
    bytes: view.sub(start, dataBytes, view.where),
    extentCount: largeCounts ? view.u64be(24) : view.u32be(76),
  };
  if (split === 0) return { data, attributes: undefined };
  const attributes = {
    format: forkFormat(view, 83),
    bytes: view.sub(start + split, whole - split, view.where),
    extentCount: largeCounts ? view.u32be(76) : view.u16be(80),
  };
  return { data, attributes };
}

function forkFormat(view: ByteView, at: number): ForkFormat {
  const format = formats[view.u8(at)];
  if (format === undefined) throw imageCorrupt(view.where, `its fork has the unknown format ${view.u8(at)}`);
  return format;
}

function parseTime(view: ByteView, at: number, bigTime: boolean): bigint {
  if (bigTime) return view.big64be(at) - bigTimeEpochNs;
  return BigInt(view.i32be(at)) * 1_000_000_000n + BigInt(view.i32be(at + 4));
}
