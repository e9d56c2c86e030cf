/**
 * The marks by which contents are known: where they stand, and what else must be right for a mark to count. A cheap look, as blkid(8)
 * does it; whoever opens a file system checks it whole. Sources: libblkid's superblock probes and the headers of the formats.
 */
import type { ByteView } from "../byte-view.ts";
import type { VolumeContent } from "./volume.ts";

export interface SignatureMatch {
  readonly content: VolumeContent;
  readonly note: string | undefined;
  /** Behind the last byte that the content says it has, where it says so. */
  readonly endByte: number | undefined;
}

interface ForeignSignature {
  readonly type: string;
  readonly note: string;
  readonly magic: Uint8Array;
  readonly at: readonly number[];
}

const kib = 1024;

/** Bytes from the start of a device that hold all marks: the uberblocks of ZFS lie deepest, up to 256 KiB. */
export const signatureBytes = 256 * kib;

function foreign(type: string, note: string, magic: string | readonly number[], ...at: number[]): ForeignSignature {
  const bytes = typeof magic === "string" ? Buffer.from(magic, "latin1") : Uint8Array.from(magic);
  return { type, note, magic: bytes, at };
}

const foreigners: readonly ForeignSignature[] = [
  foreign("crypto_LUKS", "encrypted with LUKS", "LUKS\xba\xbe", 0),
  foreign("BitLocker", "encrypted with BitLocker", "-FVE-FS-", 3),
  foreign("exfat", "exFAT", "EXFAT   ", 3),
  foreign("ReFS", "ReFS", "\0\0\0ReFS\0", 0),
  foreign("btrfs", "btrfs", "_BHRfS_M", 64 * kib + 64),
  // Pages of 4 to 64 KiB: the mark ends the first one.
  foreign("swap", "swap space", "SWAPSPACE2", ...[4, 8, 16, 32, 64].map((page) => page * kib - 10)),
  foreign("swap", "swap space of a suspended system", "S1SUSPEND", 4 * kib - 10),
  foreign(
    "bcache",
    "bcache",
    [0xc6, 0x85, 0x73, 0xf6, 0x4e, 0x1a, 0x45, 0xca, 0x82, 0x65, 0xf5, 0x7f, 0x48, 0xba, 0x6d, 0x81],
    4 * kib + 24,
  ),
  foreign("squashfs", "squashfs", "hsqs", 0),
  foreign("erofs", "EROFS", [0xe2, 0xe1, 0xf5, 0xe0], 1024),
  foreign("f2fs", "F2FS", [0x10, 0x20, 0xf5, 0xf2], 1024),
  foreign("iso9660", "ISO 9660", "CD001", 32 * kib + 1),
  foreign("udf", "UDF", "NSR0", 34 * kib + 1, 36 * kib + 1),
  foreign("storage-spaces", "Storage Spaces", "SPACEDB ", 4 * kib),
  foreign("ldm", "dynamic disk (Windows LDM)", "PRIVHEAD", 6 * 512),
  foreign("stratis", "Stratis pool", "!Stra0tis\x86\xff\x02^\x41rh", 512 + 4, 9 * 512 + 4),
  foreign("vdo", "VDO", "dmvdo001", 0),
  foreign("dm-verity", "hash tree of dm-verity", "verity\0\0", 0),
  foreign("dm-integrity", "dm-integrity", "integrt\0", 0),
  foreign("bluestore", "Ceph BlueStore", "bluestore block device", 0),
  foreign("oracleasm", "Oracle ASM", "ORCLDISK", 32),
  foreign("apfs", "APFS", "NXSB", 32),
  foreign("hfsplus", "HFS+", "H+\0\x04", 1024),
  foreign("jfs", "JFS", "JFS1", 32 * kib),
  foreign("reiserfs", "ReiserFS", "ReIsEr", 64 * kib + 52),
  foreign("ufs", "UFS2", [0x19, 0x01, 0x54, 0x19], 64 * kib + 1372, 8 * kib + 1372),
];

/** `head`: the first `signatureBytes` of a device, or all of a shorter one. Undefined where no mark is known. */
export function matchSignature(head: ByteView): SignatureMatch | undefined {
  return matchExt(head) ?? matchXfs(head) ?? matchNtfs(head) ?? matchForeign(head) ?? matchZfs(head) ?? matchFat(head);
}

function fileSystem(type: string, endByte: number): SignatureMatch {
  return { content: { kind: "file-system", type }, note: undefined, endByte };
}

/** Feature bits that ext2 and ext3 may have (fs/ext4/ext4.h): more makes it ext4. */
const ext3Incompat = 0x02 | 0x04 | 0x10;
const ext3ReadOnly = 0x01 | 0x02 | 0x04;
const journalDevice = 0x08;

function matchExt(head: ByteView): SignatureMatch | undefined {
  if (head.length < 2 * kib) return undefined;
  const at = 1024;
  if (head.u16le(at + 0x38) !== 0xef53) return undefined;
  const logBlock = head.u32le(at + 0x18);
  const [compat, incompat, readOnly] = [head.u32le(at + 0x5c), head.u32le(at + 0x60), head.u32le(at + 0x64)];
  if (logBlock > 6) return undefined;
  if ((incompat & journalDevice) !== 0) return foreignMatch("jbd", "external journal of an ext file system");
  const blocks = head.u32le(at + 4) + ((incompat & 0x80) === 0 ? 0 : head.u32le(at + 0x150) * 2 ** 32);
  const endByte = blocks * (1024 << logBlock);
  if ((incompat & ~ext3Incompat) !== 0 || (readOnly & ~ext3ReadOnly) !== 0) return fileSystem("ext4", endByte);
  return fileSystem((compat & 0x04) === 0 ? "ext2" : "ext3", endByte);
}

function matchXfs(head: ByteView): SignatureMatch | undefined {
  if (head.length < 512 || head.ascii(0, 4) !== "XFSB") return undefined;
  const blockBytes = head.u32be(4);
  if (blockBytes < 512 || blockBytes > 64 * kib) return undefined;
  return fileSystem("xfs", Number(head.big64be(8)) * blockBytes);
}

function matchNtfs(head: ByteView): SignatureMatch | undefined {
  if (head.length < 512 || head.ascii(3, 8) !== "NTFS    ") return undefined;
  const sectorBytes = head.u16le(11);
  if (![256, 512, 1024, 2048, 4096].includes(sectorBytes)) return undefined;
  // The backup of its boot sector lies behind what it counts.
  return fileSystem("ntfs", (Number(head.big64le(40)) + 1) * sectorBytes);
}

function matchFat(head: ByteView): SignatureMatch | undefined {
  if (head.length < 512 || head.u16le(510) !== 0xaa55) return undefined;
  const [sectorBytes, clusterSectors, reserved] = [head.u16le(11), head.u8(13), head.u16le(14)];
  const [fats, media] = [head.u8(16), head.u8(21)];
  const isRight =
    [512, 1024, 2048, 4096].includes(sectorBytes) &&
    clusterSectors > 0 &&
    (clusterSectors & (clusterSectors - 1)) === 0 &&
    reserved > 0 &&
    (fats === 1 || fats === 2) &&
    (media === 0xf0 || media >= 0xf8) &&
    (head.u16le(22) > 0 || head.u32le(36) > 0);
  if (!isRight) return undefined;
  const sectors = head.u16le(19) === 0 ? head.u32le(32) : head.u16le(19);
  return sectors === 0 ? undefined : fileSystem("vfat", sectors * sectorBytes);
}

function matchForeign(head: ByteView): SignatureMatch | undefined {
  const bytes = Buffer.from(head.bytes.buffer, head.bytes.byteOffset, head.bytes.byteLength);
  const found = foreigners.find(({ magic, at }) =>
    at.some((place) => bytes.subarray(place, place + magic.length).equals(magic)),
  );
  if (found === undefined) return undefined;
  const version = found.type === "crypto_LUKS" ? head.u16be(6) : undefined;
  return foreignMatch(found.type, version === undefined ? found.note : `${found.note}${version}`);
}

/** Uberblocks lie from 128 KiB on, one in each KiB; either byte order (include/sys/uberblock_impl.h). */
function matchZfs(head: ByteView): SignatureMatch | undefined {
  for (let at = 128 * kib; at + 8 <= head.length; at += kib) {
    const magic = head.big64le(at);
    if (magic === 0x00bab10cn || magic === 0x0cb1ba0000000000n)
      return foreignMatch("zfs_member", "member of a ZFS pool");
  }
  return undefined;
}

function foreignMatch(type: string, note: string): SignatureMatch {
  return { content: { kind: "foreign", type, note }, note, endByte: undefined };
}
