/**
 * GUID partition tables (UEFI specification 2.10, section 5.3).
 *
 * 1. A header counts where its CRC fits, it says that it lies where it lies, and the CRC of its entries fits. The backup at the end of
 *    the disk is read only where the primary does not count, and the disk is said to have such a table (its protective MBR, or what
 *    is left of the header).
 * 2. A disk was made with sectors of 512 or 4,096 bytes, and nothing but the place of the header tells.
 * 3. Where neither copy counts, the table has no partitions, and says why.
 */
import { crc32 } from "node:zlib";
import { hasCode } from "../../core/errors.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import { ByteView } from "../byte-view.ts";
import { imageCorrupt } from "../image-errors.ts";
import { foreignTypes, partitionTypeName } from "./gpt-types.ts";
import type { Partition, PartitionTable } from "./partition-table.ts";
import { checkPartitions } from "./partition-table.ts";
import { guidText, printable } from "./printable.ts";

const signature = "EFI PART";
const minHeaderBytes = 92;
const minEntryBytes = 128;
/** The specification asks for 16 KiB at least; Linux takes what it can allocate. 4 MiB are 32,768 entries. */
const maxArrayBytes = 4 * 1024 * 1024;
const sectorSizes = [512, 4096] as const;

interface Header {
  readonly sectorBytes: number;
  readonly firstUsable: number;
  readonly lastUsable: number;
  readonly alternateLba: number;
  readonly entries: ByteView;
  readonly entryBytes: number;
}

/** Undefined where the device has no such table. Throws what the device throws. */
export async function readGpt(device: BlockDevice, signal: AbortSignal): Promise<PartitionTable | undefined> {
  const head = new ByteView(await device.read(0, Math.min(device.sizeBytes, 8192), signal), "start of the disk");
  const sizes = headerPlaces(head);
  if (sizes.length === 0 && !hasProtectiveMbr(head)) return undefined;
  const reasons: string[] = [];
  for (const sectorBytes of sizes) {
    const header = await attempt(() => readHeader(device, sectorBytes, 1, signal), reasons);
    if (header !== undefined) return tableOf(device, header, []);
  }
  const why = reasons[0] ?? "there is none";
  for (const sectorBytes of sizes.length > 0 ? sizes : sectorSizes) {
    const lba = Math.floor(device.sizeBytes / sectorBytes) - 1;
    if (lba < 2) continue;
    const header = await attempt(() => readHeader(device, sectorBytes, lba, signal), reasons);
    if (header === undefined) continue;
    return tableOf(device, header, [
      `the primary GPT is damaged (${why}): its backup at the end of the disk was taken`,
    ]);
  }
  const problems = [`neither the GPT nor its backup can be read: ${reasons.join("; ")}`];
  return { type: "gpt", sectorBytes: sizes[0] ?? 512, partitions: [], problems, endByte: 0 };
}

/**
 * A table whose protective MBR has given way to another: Linux (is_pmbr_valid, block/partitions/efi.c) and Windows go by the MBR then.
 * Only where that is no table, as after the first sector was wiped, the GPT still counts.
 */
export function isGptLeftOver(head: ByteView): boolean {
  return headerPlaces(head).length > 0 && !hasProtectiveMbr(head);
}

/** The sizes of sectors with which a header begins in the second one. */
function headerPlaces(head: ByteView): readonly number[] {
  return sectorSizes.filter((bytes) => bytes + 8 <= head.length && head.ascii(bytes, 8) === signature);
}

/** A partition of type 0xEE in the MBR of the first sector. */
function hasProtectiveMbr(head: ByteView): boolean {
  if (head.length < 512 || head.u16le(510) !== 0xaa55) return false;
  return [0, 1, 2, 3].some((slot) => head.u8(446 + 16 * slot + 4) === 0xee);
}

async function attempt<T>(read: () => Promise<T>, reasons: string[]): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    if (!hasCode(error, "image-corrupt", "vault-corrupt")) throw error;
    reasons.push(error.message);
    return undefined;
  }
}

async function readHeader(device: BlockDevice, sectorBytes: number, lba: number, signal: AbortSignal): Promise<Header> {
  const where = `GPT header at byte ${lba * sectorBytes}`;
  const view = new ByteView(await device.read(lba * sectorBytes, sectorBytes, signal), where);
  if (view.ascii(0, 8) !== signature) throw imageCorrupt(where, "it does not begin with EFI PART");
  const headerBytes = view.u32le(12);
  if (headerBytes < minHeaderBytes || headerBytes > sectorBytes) {
    throw imageCorrupt(where, `it says that it has ${headerBytes} bytes`);
  }
  const summed = Buffer.from(view.slice(0, headerBytes));
  summed.fill(0, 16, 20);
  if (crc32(summed) !== view.u32le(16)) throw imageCorrupt(where, "its checksum does not fit");
  if (view.u64le(24) !== lba) throw imageCorrupt(where, `it says that it lies at sector ${view.u64le(24)}`);
  const entries = await readEntries(device, view, sectorBytes, signal);
  const [firstUsable, lastUsable] = [view.u64le(40), view.u64le(48)];
  return { sectorBytes, firstUsable, lastUsable, alternateLba: view.u64le(32), entries, entryBytes: view.u32le(84) };
}

async function readEntries(
  device: BlockDevice,
  header: ByteView,
  sectorBytes: number,
  signal: AbortSignal,
): Promise<ByteView> {
  const [lba, count, entryBytes] = [header.u64le(72), header.u32le(80), header.u32le(84)];
  const where = `GPT entries at byte ${lba * sectorBytes}`;
  if (entryBytes < minEntryBytes || entryBytes % 8 !== 0 || count * entryBytes > maxArrayBytes) {
    throw imageCorrupt(where, `${count} entries of ${entryBytes} bytes cannot be`);
  }
  const bytes = await device.read(lba * sectorBytes, count * entryBytes, signal);
  if (crc32(bytes) !== header.u32le(88)) throw imageCorrupt(where, "their checksum does not fit");
  return new ByteView(bytes, where);
}

function tableOf(device: BlockDevice, header: Header, reasons: readonly string[]): PartitionTable {
  const { entries, entryBytes, sectorBytes } = header;
  const listed: Partition[] = [];
  for (let at = 0; at + entryBytes <= entries.length; at += entryBytes) {
    const partition = partitionOf(entries.sub(at, entryBytes, entries.where), at / entryBytes + 1, header);
    if (partition !== undefined) listed.push(partition);
  }
  const { partitions, problems } = checkPartitions(listed, device.sizeBytes);
  const lastSector = Math.max(header.lastUsable, Math.min(header.alternateLba, device.sizeBytes / sectorBytes));
  const endByte = (lastSector + 1) * sectorBytes;
  return { type: "gpt", sectorBytes, partitions, problems: [...reasons, ...problems], endByte };
}

function partitionOf(
  entry: ByteView,
  slot: number,
  { sectorBytes, firstUsable, lastUsable }: Header,
): Partition | undefined {
  if (entry.slice(0, 16).every((byte) => byte === 0)) return undefined;
  // Compared as they stand: a number beyond 2^53 must not hide the other partitions.
  const [first, last] = [Number(entry.big64le(32)), Number(entry.big64le(40))];
  const name = new TextDecoder("utf-16le").decode(entry.slice(56, 72)).split("\0")[0] ?? "";
  const guid = guidText(entry.slice(0, 16));
  const type = partitionTypeName(guid);
  const outside =
    first < firstUsable || last > lastUsable ? "; outside of the sectors that its table gives to partitions" : "";
  const note = (name === "" ? type : `${type}, "${printable(name)}"`) + outside;
  const place = { slot, offset: first * sectorBytes, length: (last - first + 1) * sectorBytes, note };
  const foreign = foreignTypes[guid];
  return foreign === undefined ? place : { ...place, foreign };
}
