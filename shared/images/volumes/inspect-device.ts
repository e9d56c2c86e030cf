/**
 * What a device holds, by its first and last bytes, where one mark may lie below another: a member of an array shows what the array
 * holds, a partitioned disk what it held before.
 *
 * The order: member of an array (its superblock at the beginning), partition table, physical volume, member of an array (at the end),
 * file system or another mark. The end is read only where what the beginning shows does not reach there: a superblock within a
 * table's partitions or a file system is left over from before, or theirs.
 */
import type { BlockDevice } from "../../ports/block-device.ts";
import { ByteView } from "../byte-view.ts";
import { isGptLeftOver, readGpt } from "./gpt.ts";
import type { PhysicalVolume } from "./lvm-label.ts";
import { readPhysicalVolume } from "./lvm-label.ts";
import { readMbr } from "./mbr.ts";
import type { MdPlace, MdSuperblock } from "./md-superblock.ts";
import { mdPlacesAtEnd, mdPlacesAtStart, mdSuperblockBytes, parseMdSuperblock } from "./md-superblock.ts";
import type { PartitionTable } from "./partition-table.ts";
import { matchSignature, signatureBytes } from "./signatures.ts";
import type { VolumeContent } from "./volume.ts";

export interface Inspection {
  readonly content: VolumeContent;
  readonly notes: readonly string[];
  readonly table?: PartitionTable;
  readonly array?: MdSuperblock;
  readonly physicalVolume?: PhysicalVolume;
}

/** Throws `image-corrupt` and what the device throws. */
export async function inspectDevice(
  device: BlockDevice,
  sectorBytes: number,
  signal: AbortSignal,
): Promise<Inspection> {
  const bytes = await device.read(0, Math.min(device.sizeBytes, signatureBytes), signal);
  const head = new ByteView(bytes, "start of the volume");
  const problems: string[] = [];
  const seen = await inspectHead(device, head, sectorBytes, problems, signal);
  if (seen.array === undefined) {
    const array = await findMd(device, mdPlacesAtEnd(device.sizeBytes), seen.endByte, problems, signal);
    if (array !== undefined) return { content: unknown, notes: problems, array };
  }
  return { ...seen, notes: [...seen.notes, ...problems] };
}

type HeadInspection = Inspection & { readonly endByte: number };

const unknown: VolumeContent = { kind: "unknown" };

async function inspectHead(
  device: BlockDevice,
  head: ByteView,
  sectorBytes: number,
  problems: string[],
  signal: AbortSignal,
): Promise<HeadInspection> {
  const array = await findMd(device, mdPlacesAtStart, 0, problems, signal);
  if (array !== undefined) return { content: unknown, notes: [], array, endByte: 0 };
  const table = await readTable(device, head, sectorBytes, signal);
  const match = matchSignature(head);
  if (table !== undefined) {
    const content = { kind: "partition-table", type: table.type } as const;
    const notes = [...table.problems, ...leftOver(match?.content)];
    return { content, notes, table, endByte: table.endByte };
  }
  const physicalVolume = await readPhysicalVolume(device, head, signal);
  if (physicalVolume !== undefined) {
    if (!("problem" in physicalVolume)) {
      const { problems: notes, endByte } = physicalVolume;
      return { content: unknown, notes, physicalVolume, endByte };
    }
    problems.push(physicalVolume.problem);
  }
  if (match !== undefined) {
    const { content, note, endByte = 0 } = match;
    return { content, notes: note === undefined ? [] : [note], endByte };
  }
  return { ...nothing(head.bytes, device.sizeBytes), endByte: 0 };
}

async function readTable(
  device: BlockDevice,
  head: ByteView,
  sectorBytes: number,
  signal: AbortSignal,
): Promise<PartitionTable | undefined> {
  if (!isGptLeftOver(head)) return (await readGpt(device, signal)) ?? readMbr(device, sectorBytes, signal);
  const mbr = await readMbr(device, sectorBytes, signal);
  if (mbr === undefined) return readGpt(device, signal);
  return { ...mbr, problems: [...mbr.problems, "a GPT that is left over from before is passed over"] };
}

/** The first superblock that counts at one of the places that lie behind `endByte`. */
async function findMd(
  device: BlockDevice,
  places: readonly MdPlace[],
  endByte: number,
  problems: string[],
  signal: AbortSignal,
): Promise<MdSuperblock | undefined> {
  for (const place of places) {
    if (place.offset < endByte || place.offset + mdSuperblockBytes > device.sizeBytes) continue;
    const bytes = await device.read(place.offset, mdSuperblockBytes, signal);
    const found = parseMdSuperblock(bytes, place, device.sizeBytes);
    if (found === undefined) continue;
    if (!("problem" in found)) return found;
    problems.push(found.problem);
  }
  return undefined;
}

function nothing(head: Uint8Array, sizeBytes: number): Inspection {
  if (head.some((byte) => byte !== 0)) return { content: unknown, notes: [] };
  const all = head.length === sizeBytes;
  const note = all ? "all zeros" : `the first ${head.length / 1024} KiB are zeros; the rest was not looked at`;
  return { content: { kind: "empty" }, notes: [note] };
}

/** FAT is not told: a boot loader's sector keeps room for what FAT has there, and the bytes of before. */
function leftOver(content: VolumeContent | undefined): readonly string[] {
  if (content?.kind !== "file-system" && content?.kind !== "foreign") return [];
  return content.type === "vfat" ? [] : [`it also carries the mark of ${content.type}`];
}
