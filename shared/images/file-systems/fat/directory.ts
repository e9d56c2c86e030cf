/**
 * Directories of FAT: entries of 32 bytes, one after the other, up to the first whose first byte is 0. Source: fatgen103, "FAT Directory
 * Structure".
 *
 * A file has no number of its own in FAT: its NodeId is the place of its entry on the volume, in units of 32 bytes. Entries lie in clusters
 * or in the root of FAT12 and FAT16, which begin at whole sectors, so that every place is a whole number. The root directory has no
 * entry, and the number 0, where the boot sector lies.
 */
import type { NodeId } from "../../../ports/file-system.ts";
import { FarsideError } from "../../../core/errors.ts";
import { ByteView } from "../../byte-view.ts";
import { entryName, isEntryName } from "../../entry-name.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { fatTimeNs } from "./fat-time.ts";
import type { FatVolume } from "./fat-volume.ts";
import { LongNameParts } from "./long-name.ts";
import { decodeShortName, shortName, shortNameSum } from "./short-name.ts";

export interface FatEntry {
  readonly node: NodeId;
  readonly directory: boolean;
  readonly readOnly: boolean;
  readonly firstCluster: number;
  /** Of a directory 0, whatever it has. */
  readonly sizeBytes: number;
  readonly modifiedNs: bigint | undefined;
  readonly createdNs: bigint | undefined;
}

export interface NamedEntry extends FatEntry {
  readonly name: string;
  readonly shortName: string;
}

export const rootNode: NodeId = 0;

const entryBytes = 32;
/** fatgen103: 65,536 entries of 32 bytes. */
const longestDirectory = 65_536 * entryBytes;
const marks = { end: 0x00, free: 0xe5 } as const;
const attributes = { readOnly: 0x01, label: 0x08, directory: 0x10, longName: 0x0f, longNameMask: 0x3f } as const;

/** `directory`: `undefined` for the root. Throws `bad-input` for what is no directory. */
export async function* directoryEntries(
  volume: FatVolume,
  directory: FatEntry | undefined,
  signal: AbortSignal,
): AsyncGenerator<NamedEntry> {
  const long = new LongNameParts();
  for await (const { bytes, node } of slots(volume, directory, signal)) {
    const kind = kindOf(bytes);
    if (kind === "long") long.add(bytes);
    else if (kind === "file") {
      const own = long.take(shortNameSum(bytes));
      const short = shortName(bytes, bytes[12] ?? 0);
      if (short === "." || short === "..") continue;
      const where = `FAT directory entry at byte ${node * entryBytes}`;
      const name = own !== undefined && isEntryName(own) ? own : entryName(short, where);
      yield { ...parseEntry(volume, bytes, node), name, shortName: short };
    } else long.clear();
  }
}

/** Of the root directory. */
export async function volumeLabel(volume: FatVolume, signal: AbortSignal): Promise<string | undefined> {
  for await (const { bytes } of slots(volume, undefined, signal)) {
    if (kindOf(bytes) === "label") return decodeShortName(bytes.subarray(0, 11)).trimEnd() || undefined;
  }
  return undefined;
}

/** The entry that a NodeId is. Throws `bad-input` where there cannot be one. */
export async function entryAt(volume: FatVolume, node: NodeId, signal: AbortSignal): Promise<FatEntry> {
  const { root, dataOffset, sizeBytes } = volume.geometry;
  const from = root.kind === "fixed" ? root.offset : dataOffset;
  const at = node * entryBytes;
  const bytes =
    Number.isSafeInteger(node) && at >= from && at + entryBytes <= sizeBytes
      ? await volume.metadata.read(at, entryBytes, signal)
      : undefined;
  if (bytes === undefined || kindOf(bytes) !== "file") {
    throw new FarsideError("bad-input", `There is no FAT directory entry ${node}.`);
  }
  return parseEntry(volume, bytes, node);
}

interface Slot {
  readonly bytes: Uint8Array;
  readonly node: NodeId;
}

/** Every entry before the end, in use or not. */
async function* slots(volume: FatVolume, directory: FatEntry | undefined, signal: AbortSignal): AsyncGenerator<Slot> {
  let read = 0;
  for await (const region of regions(volume, directory, signal)) {
    for (let at = region.offset; at < region.offset + region.length; at += entryBytes) {
      if (read >= longestDirectory) throw imageCorrupt("FAT directory", `it is longer than ${longestDirectory} bytes`);
      read += entryBytes;
      const bytes = await volume.metadata.read(at, entryBytes, signal);
      if (bytes[0] === marks.end) return;
      yield { bytes, node: at / entryBytes };
    }
  }
}

interface Region {
  readonly offset: number;
  readonly length: number;
}

async function* regions(
  volume: FatVolume,
  directory: FatEntry | undefined,
  signal: AbortSignal,
): AsyncGenerator<Region> {
  const { root, clusterBytes, dataOffset } = volume.geometry;
  if (directory === undefined && root.kind === "fixed") {
    yield root;
    return;
  }
  if (directory?.directory === false) {
    throw new FarsideError("bad-input", `The FAT directory entry ${directory.node} is a file, no directory.`);
  }
  const first = directory?.firstCluster ?? (root.kind === "clusters" ? root.first : 0);
  for await (const run of volume.table.chain(first, 0, signal)) {
    yield { offset: dataOffset + (run.first - 2) * clusterBytes, length: run.clusters * clusterBytes };
  }
}

function kindOf(bytes: Uint8Array): "free" | "long" | "label" | "file" {
  const [mark, flags] = [bytes[0] ?? 0, bytes[11] ?? 0];
  if (mark === marks.free || mark === marks.end) return "free";
  if ((flags & attributes.longNameMask) === attributes.longName) return "long";
  return (flags & attributes.label) === 0 ? "file" : "label";
}

function parseEntry(volume: FatVolume, bytes: Uint8Array, node: NodeId): FatEntry {
  const view = new ByteView(bytes, `FAT directory entry at byte ${node * entryBytes}`);
  const flags = view.u8(11);
  const directory = (flags & attributes.directory) !== 0;
  // FAT12 and FAT16 have other things in the upper half.
  const upper = volume.geometry.bits === 32 ? view.u16le(20) : 0;
  return {
    node,
    directory,
    readOnly: (flags & attributes.readOnly) !== 0,
    firstCluster: upper * 65_536 + view.u16le(26),
    sizeBytes: directory ? 0 : view.u32le(28),
    modifiedNs: fatTimeNs(view.u16le(24), view.u16le(22), 0),
    createdNs: fatTimeNs(view.u16le(16), view.u16le(14), view.u8(13)),
  };
}
