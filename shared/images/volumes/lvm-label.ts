/**
 * Physical volumes of LVM2: the label in one of the first four sectors, the header behind it, the metadata areas (lib/label/label.h,
 * lib/format_text/layout.h). Everything has a checksum: CRC-32 with a start of its own and no inversion at the end.
 */
import { crc32 } from "node:zlib";
import { hasCode } from "../../core/errors.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import { ByteView } from "../byte-view.ts";
import { imageCorrupt } from "../image-errors.ts";

const sector = 512;
const labelSectors = 4;
const labelMark = "LABELONE";
const labelType = "LVM2 001";
const initialCrc = 0xf597a6cf;
const areaMark = " LVM2 x[5A%r0N*>";
const areaHeaderBytes = 512;
/** LVM makes one or two of each; a list that goes on is damaged. */
const maxAreas = 16;
/** Of a group's text. A group of 1,000 volumes has about 1 MiB. */
const maxTextBytes = 16 * 1024 * 1024;
/** raw_locn flag: the area is there and not in use. */
const ignoredFlag = 1;

export interface PhysicalVolume {
  /** 32 letters, without the dashes that pvs prints. */
  readonly uuid: string;
  /** Where its header says that the volume ends; 0 where it does not. */
  readonly endByte: number;
  /** The current text of each metadata area; none on a volume of no group, or one that leaves metadata to the others. */
  readonly texts: readonly string[];
  /** Areas that cannot be read. */
  readonly problems: readonly string[];
}

/** `head`: the first bytes of the device. Undefined where there is no label. Throws what the device throws. */
export async function readPhysicalVolume(
  device: BlockDevice,
  head: ByteView,
  signal: AbortSignal,
): Promise<PhysicalVolume | { readonly problem: string } | undefined> {
  const found = findLabel(head);
  if (found === undefined || "problem" in found) return found;
  const { header, where } = found;
  const texts: string[] = [];
  const problems: string[] = [];
  for (const area of areasOf(header)) {
    try {
      const text = await readArea(device, area.offset, area.length, signal);
      if (text !== undefined) texts.push(text);
    } catch (error) {
      if (!hasCode(error, "image-corrupt", "vault-corrupt")) throw error;
      problems.push(error.message);
    }
  }
  const uuid = header.ascii(0, 32);
  if (!/^[A-Za-z0-9!#]{32}$/.test(uuid)) return { problem: `${where}: its uuid is none` };
  return { uuid, endByte: Number(header.big64le(32)), texts, problems };
}

function findLabel(
  head: ByteView,
): { readonly header: ByteView; readonly where: string } | { readonly problem: string } | undefined {
  for (let at = 0; at < labelSectors * sector && at + sector <= head.length; at += sector) {
    if (head.ascii(at, 8) !== labelMark || head.ascii(at + 24, 8) !== labelType) continue;
    const where = `LVM2 label at byte ${at}`;
    const label = head.sub(at, sector, where);
    if (lvmCrc(label.slice(20, sector - 20)) !== label.u32le(16))
      return { problem: `${where}: its checksum does not fit` };
    const headerAt = label.u32le(20);
    if (label.big64le(8) !== BigInt(at / sector) || headerAt < 32 || headerAt > sector - 56) {
      return { problem: `${where}: it says that it lies elsewhere` };
    }
    return { header: label.sub(headerAt, sector - headerAt, where), where };
  }
  return undefined;
}

/** The header: uuid, size, a list of data areas, a list of metadata areas, each ended by zeros. */
function areasOf(header: ByteView): readonly { readonly offset: number; readonly length: number }[] {
  const areas: { offset: number; length: number }[] = [];
  let lists = 0;
  for (let at = 40; at + 16 <= header.length && lists < 2 && areas.length < maxAreas; at += 16) {
    const [offset, length] = [Number(header.big64le(at)), Number(header.big64le(at + 8))];
    if (offset === 0 && length === 0) lists += 1;
    else if (lists === 1) areas.push({ offset, length });
  }
  return areas;
}

/** The text that the area's header points to: it lies in a ring, and may go on at the ring's start. Undefined where there is none. */
async function readArea(
  device: BlockDevice,
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const where = `LVM2 metadata area at byte ${offset}`;
  const header = new ByteView(await device.read(offset, areaHeaderBytes, signal), where);
  if (header.ascii(4, 16) !== areaMark) throw imageCorrupt(where, "it does not begin with its mark");
  if (lvmCrc(header.slice(4, areaHeaderBytes - 4)) !== header.u32le(0))
    throw imageCorrupt(where, "its checksum does not fit");
  const [at, size, checksum, flags] = [header.u64le(40), header.u64le(48), header.u32le(56), header.u32le(60)];
  if (at === 0 || (flags & ignoredFlag) !== 0) return undefined;
  if (at < areaHeaderBytes || at >= length || size > length - areaHeaderBytes || size > maxTextBytes) {
    throw imageCorrupt(where, `its text of ${size} bytes at ${at} is not within it`);
  }
  const first = Math.min(size, length - at);
  const parts = [await device.read(offset + at, first, signal)];
  if (first < size) parts.push(await device.read(offset + areaHeaderBytes, size - first, signal));
  const text = Buffer.concat(parts);
  if (lvmCrc(text) !== checksum) throw imageCorrupt(where, "the checksum of its text does not fit");
  return text.toString("utf8");
}

/** calc_crc: the register itself, from LVM's start. */
export function lvmCrc(bytes: Uint8Array): number {
  return ~crc32(bytes, ~initialCrc >>> 0) >>> 0;
}
