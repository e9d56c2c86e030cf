/**
 * The boot sector of FAT12, FAT16 and FAT32, and where the parts of the volume lie. Source: Microsoft, "FAT: General Overview of On-Disk
 * Format" (fatgen103), "Boot Sector and BPB".
 */
import type { BlockDevice } from "../../../ports/block-device.ts";
import { FarsideError } from "../../../core/errors.ts";
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import { decodeShortName } from "./short-name.ts";

export interface FatGeometry {
  /** Bits of an entry of the table. */
  readonly bits: 12 | 16 | 32;
  readonly sizeBytes: number;
  readonly clusterBytes: number;
  /** Clusters have the numbers 2 to `clusterCount + 1`. */
  readonly clusterCount: number;
  /** Of the table that is in use. */
  readonly tableOffset: number;
  /** Of cluster 2. */
  readonly dataOffset: number;
  /** FAT12 and FAT16 have it at a fixed place, FAT32 in clusters. */
  readonly root:
    | { readonly kind: "fixed"; readonly offset: number; readonly length: number }
    | { readonly kind: "clusters"; readonly first: number };
  /** XXXX-XXXX, as blkid(8) prints it. */
  readonly serial: string | undefined;
  /** As the boot sector has it, which may be older than that of the root directory. */
  readonly label: string | undefined;
  /** The byte in which Windows and Linux note that the volume is in use. */
  readonly inUse: boolean;
}

const where = "FAT boot sector";
const sectorBytes = 512;
/** fatgen103 allows 32 KiB; Windows and Linux use 64 KiB, and more with large sectors. */
const largestClusterBytes = 256 * 1024;
/** fatgen103, "FAT Type Determination": fewer clusters than that are FAT12, and FAT16. */
const clusterLimits = { fat12: 4085, fat16: 65_525, fat32: 0x0ffffff5 } as const;

export async function probeFat(device: BlockDevice, signal: AbortSignal): Promise<"vfat" | undefined> {
  if (device.sizeBytes < sectorBytes) return undefined;
  const boot = new ByteView(await device.read(0, sectorBytes, signal), where);
  if (!hasSignature(boot)) return undefined;
  try {
    parseBootSector(boot, device.sizeBytes);
    return "vfat";
  } catch (error) {
    // A master boot record has the same signature, and other bytes where FAT has its sizes.
    if (error instanceof FarsideError) return undefined;
    throw error;
  }
}

export async function readBootSector(device: BlockDevice, signal: AbortSignal): Promise<FatGeometry> {
  if (device.sizeBytes < sectorBytes) throw imageCorrupt(where, `the device has only ${device.sizeBytes} bytes`);
  const boot = new ByteView(await device.read(0, sectorBytes, signal), where);
  if (!hasSignature(boot)) throw imageCorrupt(where, "its signature is missing");
  return parseBootSector(boot, device.sizeBytes);
}

/** A jump over the parameters, and 55 AA at the end. exFAT and NTFS have both too, and their names. */
function hasSignature(boot: ByteView): boolean {
  const name = boot.ascii(3, 8);
  const jumps = boot.u8(0) === 0xe9 || boot.u8(0) === 0xeb;
  return jumps && boot.u16le(510) === 0xaa55 && name !== "EXFAT   " && name !== "NTFS    ";
}

function parseBootSector(boot: ByteView, deviceBytes: number): FatGeometry {
  const perSector = boot.u16le(11);
  const perCluster = boot.u8(13);
  const reserved = boot.u16le(14);
  const tables = boot.u8(16);
  const rootEntries = boot.u16le(17);
  const media = boot.u8(21);
  if (![512, 1024, 2048, 4096].includes(perSector)) throw imageCorrupt(where, `a sector has ${perSector} bytes`);
  if (perCluster === 0 || (perCluster & (perCluster - 1)) !== 0 || perCluster * perSector > largestClusterBytes) {
    throw imageCorrupt(where, `a cluster has ${perCluster} sectors`);
  }
  if (reserved === 0 || tables === 0) throw imageCorrupt(where, `${reserved} reserved sectors, ${tables} tables`);
  if (media !== 0xf0 && media < 0xf8) throw imageCorrupt(where, `the medium 0x${media.toString(16)} is unknown`);
  const sectors = boot.u16le(19) || boot.u32le(32);
  if (sectors * perSector > deviceBytes) {
    throw imageCorrupt(where, `the volume has ${sectors * perSector} bytes, and the device only ${deviceBytes}`);
  }
  // Windows and Linux tell FAT32 by this field, whatever the number of clusters: small EFI partitions have too few of them.
  const shortTable = boot.u16le(22);
  const wide = shortTable === 0;
  const tableSectors = wide ? boot.u32le(36) : shortTable;
  const rootSectors = Math.ceil((rootEntries * 32) / perSector);
  const dataSector = reserved + tables * tableSectors + rootSectors;
  const clusterCount = Math.floor((sectors - dataSector) / perCluster);
  if (tableSectors === 0 || clusterCount < 1) throw imageCorrupt(where, `it has ${clusterCount} clusters`);
  const bits = tableBits(wide, clusterCount);
  if ((clusterCount + 2) * bits > tableSectors * perSector * 8) {
    throw imageCorrupt(where, `a table of ${tableSectors} sectors is too short for ${clusterCount} clusters`);
  }
  if (wide && boot.u16le(42) !== 0) throw notSupported(`FAT32 version ${boot.u8(43)}.${boot.u8(42)}`);
  if (wide && rootEntries !== 0) throw imageCorrupt(where, `FAT32 with ${rootEntries} entries in a fixed root`);
  return {
    bits,
    sizeBytes: sectors * perSector,
    clusterBytes: perCluster * perSector,
    clusterCount,
    tableOffset: (reserved + activeTable(boot, wide, tables) * tableSectors) * perSector,
    dataOffset: dataSector * perSector,
    root: wide
      ? { kind: "clusters", first: boot.u32le(44) }
      : { kind: "fixed", offset: (dataSector - rootSectors) * perSector, length: rootEntries * 32 },
    ...extendedFields(boot, wide ? 64 : 36),
  };
}

function tableBits(wide: boolean, clusterCount: number): 12 | 16 | 32 {
  const limit = wide ? clusterLimits.fat32 : clusterLimits.fat16;
  if (clusterCount >= limit) throw imageCorrupt(where, `${clusterCount} clusters are too many`);
  if (wide) return 32;
  return clusterCount < clusterLimits.fat12 ? 12 : 16;
}

/** FAT32 may keep one table only up to date. */
function activeTable(boot: ByteView, wide: boolean, tables: number): number {
  const flags = wide ? boot.u16le(40) : 0;
  const active = (flags & 0x80) === 0 ? 0 : flags & 0x0f;
  if (active >= tables) throw imageCorrupt(where, `table ${active} is in use, of ${tables}`);
  return active;
}

/** The fields from the drive number on, which begin at another place in FAT32. */
function extendedFields(boot: ByteView, at: number): Pick<FatGeometry, "serial" | "label" | "inUse"> {
  const extended = boot.u8(at + 2) === 0x29 || boot.u8(at + 2) === 0x28;
  const digits = boot
    .u32le(at + 3)
    .toString(16)
    .toUpperCase()
    .padStart(8, "0");
  const label = boot.u8(at + 2) === 0x29 ? decodeShortName(boot.slice(at + 7, 11)).trimEnd() : "";
  return {
    serial: extended ? `${digits.slice(0, 4)}-${digits.slice(4)}` : undefined,
    label: label === "" || label === "NO NAME" ? undefined : label,
    // Linux, include/uapi/linux/msdos_fs.h, `FAT_STATE_DIRTY`.
    inUse: (boot.u8(at + 1) & 1) !== 0,
  };
}
