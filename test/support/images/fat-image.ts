/** FAT volumes made by hand, for what the usual tools do not make: small FAT32, loops, orphaned names, files of 4 GiB. */
import type { BlockDevice } from "../../../shared/ports/block-device.ts";
import { shortNameSum } from "../../../shared/images/file-systems/fat/short-name.ts";
import { mappedDevice } from "../../../shared/images/mapped-device.ts";
import { overlayDevice } from "../../../shared/images/overlay-device.ts";

export interface FatPlan {
  readonly bits: 12 | 16 | 32;
  readonly clusterBytes: number;
  readonly clusterCount: number;
  /** Cluster → the value of its entry in the table. */
  readonly table: ReadonlyMap<number, number>;
  /** Cluster → its content; 0 is the fixed root. */
  readonly clusters: ReadonlyMap<number, Uint8Array>;
}

const sectorBytes = 512;
const rootEntries = 64;

export function fatImage(plan: FatPlan): BlockDevice {
  const wide = plan.bits === 32;
  const reserved = wide ? 32 : 1;
  const tableBytes = Math.ceil(((plan.clusterCount + 2) * plan.bits) / 8);
  const tableSectors = Math.ceil(tableBytes / sectorBytes);
  const rootOffset = (reserved + tableSectors) * sectorBytes;
  const dataOffset = rootOffset + (wide ? 0 : rootEntries * 32);
  const sizeBytes = dataOffset + plan.clusterCount * plan.clusterBytes;
  const blocks = new Map<number, Uint8Array>();
  put(blocks, 0, bootSector(plan, reserved, tableSectors, sizeBytes));
  put(blocks, reserved * sectorBytes, tableOf(plan, tableSectors * sectorBytes));
  for (const [cluster, content] of plan.clusters) {
    put(blocks, cluster === 0 ? rootOffset : dataOffset + (cluster - 2) * plan.clusterBytes, content);
  }
  const empty = mappedDevice("zeros", sizeBytes, (offset, length) =>
    length === 0 ? [] : [{ device: undefined, offset, length }],
  );
  return overlayDevice("FAT image", empty, sectorBytes, blocks);
}

export interface ShortEntry {
  /** 11 letters. */
  readonly name: string | Uint8Array;
  readonly attributes?: number;
  readonly caseFlags?: number;
  readonly cluster?: number;
  readonly sizeBytes?: number;
}

export function shortEntry(entry: ShortEntry): Buffer {
  const bytes = Buffer.alloc(32);
  (typeof entry.name === "string" ? Buffer.from(entry.name, "latin1") : Buffer.from(entry.name)).copy(bytes, 0);
  bytes.writeUInt8(entry.attributes ?? 0x20, 11);
  bytes.writeUInt8(entry.caseFlags ?? 0, 12);
  bytes.writeUInt16LE((entry.cluster ?? 0) >>> 16, 20);
  bytes.writeUInt16LE((entry.cluster ?? 0) & 0xffff, 26);
  bytes.writeUInt32LE(entry.sizeBytes ?? 0, 28);
  return bytes;
}

/** The entries of a long name, which lie before the short one. */
export function longEntries(name: string, short: string): Buffer[] {
  const units = Array.from({ length: name.length }, (_, at) => name.charCodeAt(at));
  const count = Math.ceil(units.length / 13);
  const padded = [...units, 0, ...Array<number>(13).fill(0xffff)];
  return Array.from({ length: count }, (_, index) => {
    const number = count - index;
    const bytes = Buffer.alloc(32);
    bytes.writeUInt8(number | (index === 0 ? 0x40 : 0), 0);
    bytes.writeUInt8(0x0f, 11);
    bytes.writeUInt8(shortNameSum(Buffer.from(short, "latin1")), 13);
    const places = [1, 3, 5, 7, 9, 14, 16, 18, 20, 22, 24, 28, 30];
    for (const [unit, at] of places.entries()) bytes.writeUInt16LE(padded[(number - 1) * 13 + unit] ?? 0xffff, at);
    return bytes;
  });
}

function put(blocks: Map<number, Uint8Array>, offset: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; at += sectorBytes) {
    const block = new Uint8Array(sectorBytes);
    block.set(bytes.subarray(at, at + sectorBytes));
    blocks.set((offset + at) / sectorBytes, block);
  }
}

function bootSector(plan: FatPlan, reserved: number, tableSectors: number, sizeBytes: number): Buffer {
  const wide = plan.bits === 32;
  const boot = Buffer.alloc(sectorBytes);
  boot.write("\u00eb\u003c\u0090MSWIN4.1", 0, "latin1");
  boot.writeUInt16LE(sectorBytes, 11);
  boot.writeUInt8(plan.clusterBytes / sectorBytes, 13);
  boot.writeUInt16LE(reserved, 14);
  boot.writeUInt8(1, 16);
  boot.writeUInt16LE(wide ? 0 : rootEntries, 17);
  boot.writeUInt8(0xf8, 21);
  boot.writeUInt16LE(wide ? 0 : tableSectors, 22);
  boot.writeUInt32LE(sizeBytes / sectorBytes, 32);
  if (wide) {
    boot.writeUInt32LE(tableSectors, 36);
    boot.writeUInt32LE(2, 44);
  }
  const at = wide ? 64 : 36;
  boot.writeUInt8(0x29, at + 2);
  boot.writeUInt32LE(0xcafe0001, at + 3);
  boot.write("NO NAME    ", at + 7, "latin1");
  boot.writeUInt16LE(0xaa55, 510);
  return boot;
}

function tableOf(plan: FatPlan, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const entries = new Map([[0, 0x0ffffff8], [1, 0x0fffffff], ...plan.table]);
  for (const [cluster, value] of entries) {
    if (plan.bits === 32) bytes.writeUInt32LE(value, cluster * 4);
    else if (plan.bits === 16) bytes.writeUInt16LE(value & 0xffff, cluster * 2);
    else {
      const at = Math.floor(cluster * 1.5);
      const old = bytes.readUInt16LE(at);
      const twelve = value & 0xfff;
      bytes.writeUInt16LE(cluster % 2 === 0 ? (old & 0xf000) | twelve : (old & 0x000f) | (twelve << 4), at);
    }
  }
  return bytes;
}
