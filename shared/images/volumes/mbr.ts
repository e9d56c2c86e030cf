/**
 * MBR partition tables with extended partitions, numbered as Linux does (block/partitions/msdos.c): the four slots of the first
 * sector are 1 to 4, logical partitions count from 5 in the order of their chain, whatever slot the extended one has.
 *
 * A boot sector of FAT or NTFS ends with the same mark: a table is believed only where all four entries make sense.
 */
import { hasCode } from "../../core/errors.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import { ByteView } from "../byte-view.ts";
import type { Partition, PartitionTable } from "./partition-table.ts";
import { checkPartitions, maxPartitions } from "./partition-table.ts";

const tableAt = 446;
const dynamicDisk = 0x42;
const extendedTypes: readonly number[] = [0x05, 0x0f, 0x85];

/** Names as fdisk prints them, of what Azure VMs have. */
const typeNames: Readonly<Record<number, string>> = {
  0x01: "FAT12",
  0x04: "FAT16 <32M",
  0x05: "extended",
  0x06: "FAT16",
  0x07: "HPFS/NTFS/exFAT",
  0x0b: "W95 FAT32",
  0x0c: "W95 FAT32 (LBA)",
  0x0e: "W95 FAT16 (LBA)",
  0x0f: "W95 extended (LBA)",
  0x27: "hidden NTFS, Windows recovery",
  0x42: "Windows dynamic disk (LDM)",
  0x82: "Linux swap",
  0x83: "Linux",
  0x85: "Linux extended",
  0x8e: "Linux LVM",
  0xa5: "FreeBSD",
  0xee: "GPT protective",
  0xef: "EFI system",
  0xfd: "Linux RAID autodetect",
};

interface Entry {
  readonly slot: number;
  readonly status: number;
  readonly type: number;
  /** In sectors. */
  readonly start: number;
  readonly count: number;
}

/** `sectorBytes`: of the disk; the table does not say it. Undefined where there is no table. Throws what the device throws. */
export async function readMbr(
  device: BlockDevice,
  sectorBytes: number,
  signal: AbortSignal,
): Promise<PartitionTable | undefined> {
  if (device.sizeBytes < 512) return undefined;
  const entries = entriesOf(new ByteView(await device.read(0, 512, signal), "MBR"));
  if (entries === undefined || !isPlausible(entries, device.sizeBytes / sectorBytes)) return undefined;
  const used = entries.filter((entry) => entry.count > 0 && entry.type !== 0);
  const listed = used.map((entry) => partitionOf(entry, entry.slot, 0, sectorBytes));
  const problems: string[] = [];
  for (const entry of used.filter(isExtended)) {
    const room = maxPartitions - listed.length;
    const chain = await readLogical(device, entry, { sectorBytes, firstSlot: nextSlot(listed), room }, signal);
    listed.push(...chain.partitions);
    problems.push(...chain.problems);
  }
  const checked = checkPartitions(listed, device.sizeBytes);
  const ends = checked.partitions.map((partition) => partition.offset + partition.length);
  return {
    type: "mbr",
    sectorBytes,
    partitions: checked.partitions,
    problems: [...problems, ...checked.problems],
    endByte: Math.max(0, ...ends),
  };
}

function nextSlot(listed: readonly Partition[]): number {
  return Math.max(4, ...listed.map((partition) => partition.slot)) + 1;
}

function entriesOf(sector: ByteView): readonly Entry[] | undefined {
  if (sector.u16le(510) !== 0xaa55) return undefined;
  return [1, 2, 3, 4].map((slot) => {
    const at = tableAt + 16 * (slot - 1);
    return {
      slot,
      status: sector.u8(at),
      type: sector.u8(at + 4),
      start: sector.u32le(at + 8),
      count: sector.u32le(at + 12),
    };
  });
}

function isPlausible(entries: readonly Entry[], deviceSectors: number): boolean {
  const used = entries.filter((entry) => entry.type !== 0 && entry.count > 0);
  // Linux asks the same of the first byte: 0 or 0x80, what else there is belongs to a boot sector's program.
  if (entries.some((entry) => (entry.status & 0x7f) !== 0)) return false;
  return used.some((entry) => entry.start > 0 && entry.start < deviceSectors);
}

function isExtended(entry: Entry): boolean {
  return extendedTypes.includes(entry.type);
}

function partitionOf(entry: Entry, slot: number, base: number, sectorBytes: number): Partition {
  const name = typeNames[entry.type] ?? `type 0x${entry.type.toString(16).padStart(2, "0")}`;
  return {
    slot,
    offset: (base + entry.start) * sectorBytes,
    length: entry.count * sectorBytes,
    note: entry.status === 0x80 ? `${name}, active` : name,
    ...(isExtended(entry) && base === 0 ? { isExtended: true } : {}),
    ...(entry.type === dynamicDisk ? { foreign: { type: "ldm", note: "dynamic disk (Windows LDM)" } } : {}),
  };
}

interface ChainPlace {
  readonly sectorBytes: number;
  readonly firstSlot: number;
  /** How many more partitions are taken. */
  readonly room: number;
}

/** Each table of the chain has one logical partition, from its own place, and the next table, from the extended one's start. */
async function readLogical(
  device: BlockDevice,
  extended: Entry,
  { sectorBytes, firstSlot, room }: ChainPlace,
  signal: AbortSignal,
): Promise<{ readonly partitions: readonly Partition[]; readonly problems: readonly string[] }> {
  const partitions: Partition[] = [];
  const seen = new Set<number>();
  let place = extended.start;
  while (!seen.has(place) && seen.size < maxPartitions && partitions.length < room) {
    seen.add(place);
    const entries = await readLink(device, place, sectorBytes, signal);
    if (typeof entries === "string") return { partitions, problems: [entries] };
    for (const entry of entries) {
      if (entry.count === 0 || isExtended(entry) || !liesWithin(entry, place, extended)) continue;
      partitions.push(partitionOf(entry, firstSlot + partitions.length, place, sectorBytes));
    }
    const next = entries.find((entry) => entry.count > 0 && isExtended(entry));
    if (next === undefined) return { partitions, problems: [] };
    place = extended.start + next.start;
  }
  const why = seen.has(place) ? "leads in a circle" : "is too long";
  return { partitions, problems: [`the chain of logical partitions ${why} at sector ${place}`] };
}

async function readLink(
  device: BlockDevice,
  sector: number,
  sectorBytes: number,
  signal: AbortSignal,
): Promise<readonly Entry[] | string> {
  try {
    const bytes = await device.read(sector * sectorBytes, 512, signal);
    const entries = entriesOf(new ByteView(bytes, `extended partition table at sector ${sector}`));
    return entries ?? `the chain of logical partitions ends without a table at sector ${sector}`;
  } catch (error) {
    if (!hasCode(error, "image-corrupt", "vault-corrupt")) throw error;
    return `the chain of logical partitions cannot be followed: ${error.message}`;
  }
}

/** Linux's rule: slots 3 and 4 of a link, which only old tools of OS/2 filled, must lie within the extended partition. */
function liesWithin(entry: Entry, place: number, extended: Entry): boolean {
  if (entry.slot <= 2) return true;
  const start = place + entry.start;
  return start >= extended.start && start + entry.count <= extended.start + extended.count;
}
