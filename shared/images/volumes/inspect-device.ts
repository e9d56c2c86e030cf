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
import { readGpt } from "./gpt.ts";
import { readMbr } from "./mbr.ts";
import type { PartitionTable } from "./partition-table.ts";
import { matchSignature, signatureBytes } from "./signatures.ts";
import type { VolumeContent } from "./volume.ts";

export interface Inspection {
  readonly content: VolumeContent;
  readonly notes: readonly string[];
  readonly table?: PartitionTable;
}

/** Throws `image-corrupt` and what the device throws. */
export async function inspectDevice(
  device: BlockDevice,
  sectorBytes: number,
  signal: AbortSignal,
): Promise<Inspection> {
  const bytes = await device.read(0, Math.min(device.sizeBytes, signatureBytes), signal);
  const table = (await readGpt(device, signal)) ?? (await readMbr(device, sectorBytes, signal));
  const match = matchSignature(new ByteView(bytes, "start of the volume"));
  if (table !== undefined) {
    const content = { kind: "partition-table", type: table.type } as const;
    return { content, notes: [...table.problems, ...leftOver(match?.content)], table };
  }
  if (match !== undefined) return { content: match.content, notes: match.note === undefined ? [] : [match.note] };
  if (bytes.some((byte) => byte !== 0)) return { content: { kind: "unknown" }, notes: [] };
  const all = bytes.length === device.sizeBytes;
  const note = all ? "all zeros" : `the first ${bytes.length / 1024} KiB are zeros; the rest was not looked at`;
  return { content: { kind: "empty" }, notes: [note] };
}

/** FAT is not told: a boot loader's sector keeps room for what FAT has there, and the bytes of before. */
function leftOver(content: VolumeContent | undefined): readonly string[] {
  if (content?.kind !== "file-system" && content?.kind !== "foreign") return [];
  return content.type === "vfat" ? [] : [`it also carries the mark of ${content.type}`];
}
