/** One inode, parsed (struct ext4_inode in fs/ext4/ext4.h). */
import type { FileKind } from "../../../ports/file-system.ts";
import { ByteView } from "../../byte-view.ts";
import { crc32cRaw } from "../../crc32c.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { incompatible } from "./features.ts";
import { littleEndian32 } from "./number-bytes.ts";
import type { ExtSuperblock } from "./superblock.ts";
import { checksums, has } from "./superblock.ts";

/** Of i_flags. */
export const inodeFlags = {
  encrypted: 0x800,
  indexed: 0x1000,
  extents: 0x80000,
  attributeValue: 0x200000,
  inline: 0x10000000,
} as const;

export interface ExtInode {
  readonly number: number;
  readonly where: string;
  readonly kind: FileKind;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly links: number;
  /** i_size; what it is of depends on the kind. */
  readonly sizeBytes: number;
  readonly flags: number;
  readonly generation: number;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
  readonly createdNs: bigint | undefined;
  /** Of a value of an extended attribute: its hash lies where a file has the time of its last access. */
  readonly accessedSeconds: number;
  /** Of the same, in old Lustre file systems: whose value it is. */
  readonly modifiedSeconds: number;
  /** The block of extended attributes; 0 for none. */
  readonly attributeBlock: number;
  /** i_block: block map, extent tree, inline data, a short link's target or a device's number. */
  readonly root: ByteView;
  /** What lies in the inode after its known fields: extended attributes. Empty for old inodes. */
  readonly extra: ByteView;
  /** Start of the sums over its directory blocks and extent blocks. */
  readonly checksumSeed: number;
}

const baseBytes = 128;
const checksumLowAt = 0x7c;
const checksumHighAt = 0x82;

/** `bytes` are `inodeBytes` long. */
export function parseInode(superblock: ExtSuperblock, number: number, bytes: Uint8Array): ExtInode {
  const where = `ext inode ${number}`;
  const view = new ByteView(bytes, where);
  const { inodeBytes, features } = superblock;
  const extraBytes = inodeBytes > baseBytes ? view.u16le(0x80) : 0;
  if (extraBytes % 4 !== 0 || baseBytes + extraBytes > inodeBytes) {
    throw imageCorrupt(where, `it says ${extraBytes} bytes of extra fields`);
  }
  // A field counts where all of it lies within what the inode says that it uses.
  const within = (at: number, length: number): boolean => at + length <= baseBytes + extraBytes;
  const generation = view.u32le(0x64);
  const seed = crc32cRaw(crc32cRaw(superblock.checksumSeed, littleEndian32(number)), littleEndian32(generation));
  verifyChecksum(superblock, view, seed, within(checksumHighAt, 2));

  const rawMode = view.u16le(0);
  const kind = kindOf(rawMode);
  const wideSize = kind === "file" || has(features, "incompatible", incompatible.largeDirectories);
  const sizeBytes = view.u32le(4) + (wideSize ? view.u32le(0x6c) * 2 ** 32 : 0);
  if (!Number.isSafeInteger(sizeBytes)) throw imageCorrupt(where, "its size is beyond 2^53");
  const wide = has(features, "incompatible", incompatible.wide);
  const time = (at: number, extraAt: number): bigint =>
    nanoseconds(view.i32le(at), within(extraAt, 4) ? view.u32le(extraAt) : 0);
  return {
    number,
    where,
    kind,
    mode: rawMode & 0o7777,
    uid: view.u16le(2) + view.u16le(0x78) * 2 ** 16,
    gid: view.u16le(0x18) + view.u16le(0x7a) * 2 ** 16,
    links: view.u16le(0x1a),
    sizeBytes,
    flags: view.u32le(0x20),
    generation,
    modifiedNs: time(0x10, 0x88),
    changedNs: time(0xc, 0x84),
    createdNs: within(0x90, 4) ? time(0x90, 0x94) : undefined,
    accessedSeconds: view.u32le(8),
    modifiedSeconds: view.u32le(0x10),
    attributeBlock: view.u32le(0x68) + (wide ? view.u16le(0x76) * 2 ** 32 : 0),
    root: view.sub(0x28, 60, where),
    extra: view.sub(baseBytes + extraBytes, inodeBytes - baseBytes - extraBytes, where),
    checksumSeed: seed,
  };
}

export function isSet(inode: ExtInode, flag: keyof typeof inodeFlags): boolean {
  return (inode.flags & inodeFlags[flag]) !== 0;
}

/** By the upper bits of i_mode (include/uapi/linux/stat.h). */
function kindOf(mode: number): FileKind {
  switch (mode & 0xf000) {
    case 0x1000:
      return "fifo";
    case 0x2000:
      return "character-device";
    case 0x4000:
      return "directory";
    case 0x6000:
      return "block-device";
    case 0x8000:
      return "file";
    case 0xa000:
      return "link";
    case 0xc000:
      return "socket";
    default:
      return "other";
  }
}

/** 32 bits of seconds with their sign, and of the extra field 2 bits above them and 30 bits of nanoseconds (ext4_decode_extra_time). */
export function nanoseconds(seconds: number, extra: number): bigint {
  return (BigInt(seconds) + (BigInt(extra & 3) << 32n)) * 1_000_000_000n + BigInt(extra >>> 2);
}

/** ext4_inode_csum: over the inode with the sum's own fields as zeros. */
function verifyChecksum(superblock: ExtSuperblock, view: ByteView, seed: number, high: boolean): void {
  if (!checksums(superblock) || !superblock.madeByLinux) return;
  const bytes = Uint8Array.from(view.bytes);
  bytes.fill(0, checksumLowAt, checksumLowAt + 2);
  if (high) bytes.fill(0, checksumHighAt, checksumHighAt + 2);
  const sum = crc32cRaw(seed, bytes);
  const found = view.u16le(checksumLowAt) + (high ? view.u16le(checksumHighAt) * 2 ** 16 : 0);
  if (found !== (high ? sum : sum & 0xffff)) throw imageCorrupt(view.where, "its checksum is wrong");
}
