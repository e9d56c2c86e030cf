/**
 * The boot sector of NTFS: where everything else begins. Layout: Microsoft, "NTFS boot sector"; the Linux kernel, fs/ntfs3/ntfs.h,
 * `NTFS_BOOT`.
 */
import type { BlockDevice } from "../../../ports/block-device.ts";
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";

export interface NtfsGeometry {
  readonly sizeBytes: number;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  /** Of one record of the master file table. */
  readonly recordBytes: number;
  /** The cluster at which the master file table begins. */
  readonly mftLcn: number;
  /** 16 hexadecimal digits, as blkid(8) prints it. */
  readonly serial: string;
}

const where = "NTFS boot sector";
const sectorBytes = 512;
const largestClusterBytes = 2 * 1024 * 1024;
/** Windows writes 1 KiB or 4 KiB. Attributes say their place in 16 bits. */
const recordRange = [512, 65_536] as const;

export async function probeNtfs(device: BlockDevice, signal: AbortSignal): Promise<"ntfs" | undefined> {
  if (device.sizeBytes < sectorBytes) return undefined;
  const boot = new ByteView(await device.read(0, sectorBytes, signal), where);
  return boot.ascii(3, 8) === "NTFS    " && boot.u16le(510) === 0xaa55 ? "ntfs" : undefined;
}

export async function readBootSector(device: BlockDevice, signal: AbortSignal): Promise<NtfsGeometry> {
  if ((await probeNtfs(device, signal)) === undefined) throw imageCorrupt(where, "its signature is missing");
  const boot = new ByteView(await device.read(0, sectorBytes, signal), where);
  const perSector = boot.u16le(11);
  if (!isPowerOfTwo(perSector, 256, 4096)) throw imageCorrupt(where, `a sector cannot have ${perSector} bytes`);
  const clusterBytes = perSector * sectorsPerCluster(boot.u8(13));
  if (!isPowerOfTwo(clusterBytes, 512, largestClusterBytes)) {
    throw imageCorrupt(where, `a cluster cannot have ${clusterBytes} bytes`);
  }
  const sizeBytes = boot.u64le(40) * perSector;
  if (sizeBytes > device.sizeBytes) {
    throw imageCorrupt(where, `the volume has ${sizeBytes} bytes, and the device only ${device.sizeBytes}`);
  }
  const mftLcn = boot.u64le(48);
  const clusterCount = Math.floor(sizeBytes / clusterBytes);
  if (mftLcn >= clusterCount) throw imageCorrupt(where, `the master file table cannot be at cluster ${mftLcn}`);
  return {
    sizeBytes,
    clusterBytes,
    clusterCount,
    recordBytes: recordSize(boot.u8(64), clusterBytes),
    mftLcn,
    serial: boot.big64le(72).toString(16).toUpperCase().padStart(16, "0"),
  };
}

export function isPowerOfTwo(value: number, least: number, most: number): boolean {
  return value >= least && value <= most && Number.isInteger(Math.log2(value));
}

/** Above 128 the byte is a negative power of two: clusters of more than 64 KiB. */
function sectorsPerCluster(byte: number): number {
  return byte <= 128 ? byte : 2 ** (256 - byte);
}

/** Clusters; or, where the byte is negative, a power of two of bytes. */
function recordSize(byte: number, clusterBytes: number): number {
  const bytes = byte < 128 ? byte * clusterBytes : 2 ** (256 - byte);
  if (!isPowerOfTwo(bytes, ...recordRange)) throw imageCorrupt(where, `a file record cannot have ${bytes} bytes`);
  return bytes;
}
