/** A GUID partition table with one partition, as disks of generation 2 have it (UEFI Specification 2.10, chapter 5). */
import { randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";

const sectorBytes = 512;
const entries = 128;
const entryBytes = 128;
const tableSectors = (entries * entryBytes) / sectorBytes;
const mib = 1024 * 1024;

/** The partition begins at one MiB and ends one MiB before the disk does. */
export const partitionStart = mib;

export function partitionBytes(diskBytes: number): number {
  return diskBytes - 2 * mib;
}

/** Types by the name of what is in it. */
const types = {
  linux: "0FC63DAF-8483-4772-8E79-3D69D8477DE4",
  windows: "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7",
} as const;

export type PartitionType = keyof typeof types;

export interface Piece {
  readonly offset: number;
  readonly content: Uint8Array;
}

/** The protective MBR, the table and its copy at the end. */
export function partitionTable(diskBytes: number, type: PartitionType, name: string): readonly Piece[] {
  const last = diskBytes / sectorBytes - 1;
  const table = Buffer.alloc(entries * entryBytes);
  guid(types[type]).copy(table, 0);
  randomBytes(16).copy(table, 16);
  table.writeBigUInt64LE(BigInt(partitionStart / sectorBytes), 32);
  table.writeBigUInt64LE(BigInt((partitionStart + partitionBytes(diskBytes)) / sectorBytes - 1), 40);
  table.write(name.slice(0, 35), 56, "utf16le");
  const diskId = randomBytes(16);
  const header = (own: number, other: number, tableAt: number): Buffer => {
    const bytes = Buffer.alloc(sectorBytes);
    bytes.write("EFI PART", 0, "latin1");
    bytes.writeUInt32LE(0x0001_0000, 8);
    bytes.writeUInt32LE(92, 12);
    bytes.writeBigUInt64LE(BigInt(own), 24);
    bytes.writeBigUInt64LE(BigInt(other), 32);
    bytes.writeBigUInt64LE(BigInt(2 + tableSectors), 40);
    bytes.writeBigUInt64LE(BigInt(last - tableSectors - 1), 48);
    diskId.copy(bytes, 56);
    bytes.writeBigUInt64LE(BigInt(tableAt), 72);
    bytes.writeUInt32LE(entries, 80);
    bytes.writeUInt32LE(entryBytes, 84);
    bytes.writeUInt32LE(crc32(table), 88);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, 92)), 16);
    return bytes;
  };
  return [
    { offset: 0, content: protectiveMbr(last) },
    { offset: sectorBytes, content: header(1, last, 2) },
    { offset: 2 * sectorBytes, content: table },
    { offset: (last - tableSectors) * sectorBytes, content: table },
    { offset: last * sectorBytes, content: header(last, 1, last - tableSectors) },
  ];
}

function protectiveMbr(lastSector: number): Buffer {
  const bytes = Buffer.alloc(sectorBytes);
  bytes.set([0x00, 0x00, 0x02, 0x00, 0xee, 0xff, 0xff, 0xff], 446);
  bytes.writeUInt32LE(1, 454);
  bytes.writeUInt32LE(Math.min(lastSector, 0xffff_ffff), 458);
  bytes.set([0x55, 0xaa], 510);
  return bytes;
}

/** Its first three groups are little-endian. */
function guid(text: string): Buffer {
  const bytes = Buffer.from(text.replaceAll("-", ""), "hex");
  bytes.subarray(0, 4).reverse();
  bytes.subarray(4, 6).reverse();
  bytes.subarray(6, 8).reverse();
  return bytes;
}
