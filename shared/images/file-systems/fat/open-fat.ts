/** FAT12, FAT16 and FAT32 as a file system of the port. What is read and what is refused: docs/images/fat.md. */
import type { BlockDevice } from "../../../ports/block-device.ts";
import type {
  DirectoryEntry,
  FileExtent,
  FilePiece,
  FileRange,
  FileStat,
  FileSystem,
  FileSystemFacts,
  FileSystemState,
  NodeId,
} from "../../../ports/file-system.ts";
import { FarsideError } from "../../../core/errors.ts";
import { recentBlocks } from "../../recent-blocks.ts";
import { AllocationTable } from "./allocation-table.ts";
import { readBootSector } from "./boot-sector.ts";
import type { FatEntry, NamedEntry } from "./directory.ts";
import { directoryEntries, entryAt, rootNode, volumeLabel } from "./directory.ts";
import type { FatVolume } from "./fat-volume.ts";
import { ChainPlaces, fileExtents } from "./file-extents.ts";

/** 4 MiB: a million entries of the table of FAT32. */
const cache = { blockBytes: 64 * 1024, count: 64 } as const;
/** Of the port: a piece is at most 1 MiB. */
const longestPiece = 1024 * 1024;

/** Throws `image-corrupt` and `not-supported`. */
export async function openFat(device: BlockDevice, signal: AbortSignal): Promise<FileSystem> {
  const geometry = await readBootSector(device, signal);
  const metadata = recentBlocks("FAT volume", device, cache.blockBytes, cache.count);
  const volume: FatVolume = { device, metadata, geometry, table: new AllocationTable(geometry, metadata) };
  return new FatFileSystem(volume, {
    type: "vfat",
    // The boot sector keeps the name that the volume was made with: Windows changes the one in the root directory.
    label: (await volumeLabel(volume, signal)) ?? geometry.label,
    uuid: geometry.serial,
    sizeBytes: geometry.sizeBytes,
    state: await readState(volume, signal),
  });
}

class FatFileSystem implements FileSystem {
  readonly facts: FileSystemFacts;
  readonly root = rootNode;
  readonly #volume: FatVolume;
  readonly #places = new ChainPlaces();

  constructor(volume: FatVolume, facts: FileSystemFacts) {
    this.#volume = volume;
    this.facts = facts;
  }

  async stat(node: NodeId, signal: AbortSignal): Promise<FileStat> {
    const entry = await this.#entry(node, signal);
    const directory = entry === undefined || entry.directory;
    return {
      node,
      kind: directory ? "directory" : "file",
      sizeBytes: entry?.sizeBytes ?? 0,
      mode: directory ? 0o755 : entry.readOnly ? 0o444 : 0o644,
      uid: 0,
      gid: 0,
      links: 1,
      modifiedNs: entry?.modifiedNs ?? 0n,
      changedNs: undefined,
      createdNs: entry?.createdNs,
      device: undefined,
    };
  }

  async *list(directory: NodeId, signal: AbortSignal): AsyncGenerator<DirectoryEntry> {
    const entry = await this.#entry(directory, signal);
    for await (const named of directoryEntries(this.#volume, entry, signal)) yield listed(named);
  }

  async lookup(directory: NodeId, name: string, signal: AbortSignal): Promise<DirectoryEntry | undefined> {
    const entry = await this.#entry(directory, signal);
    const wanted = folded(name);
    for await (const named of directoryEntries(this.#volume, entry, signal)) {
      if (folded(named.name) === wanted || folded(named.shortName) === wanted) return listed(named);
    }
    return undefined;
  }

  async readLink(node: NodeId): Promise<string> {
    throw new FarsideError("bad-input", `The FAT directory entry ${node} is no link: FAT has none.`);
  }

  async *read(node: NodeId, range: FileRange, signal: AbortSignal): AsyncGenerator<FilePiece> {
    const file = await this.#file(node, signal);
    const extents = fileExtents(this.#volume, this.#places, file, range.offset, range.length, signal);
    for await (const { offset, length, deviceOffset } of extents) {
      for (let at = 0; at < length; at += longestPiece) {
        const count = Math.min(longestPiece, length - at);
        const content = await this.#volume.device.read(deviceOffset + at, count, signal);
        yield { kind: "data", offset: offset + at, length: count, content };
      }
    }
  }

  async *extents(node: NodeId, signal: AbortSignal): AsyncGenerator<FileExtent> {
    const file = await this.#file(node, signal);
    for await (const extent of fileExtents(this.#volume, this.#places, file, 0, file.sizeBytes, signal)) {
      yield { kind: "device", ...extent };
    }
  }

  async attributes(): Promise<ReadonlyMap<string, Uint8Array>> {
    return new Map();
  }

  /** `undefined` for the root, which has none. */
  async #entry(node: NodeId, signal: AbortSignal): Promise<FatEntry | undefined> {
    return node === rootNode ? undefined : entryAt(this.#volume, node, signal);
  }

  async #file(node: NodeId, signal: AbortSignal): Promise<FatEntry> {
    const entry = await this.#entry(node, signal);
    if (entry !== undefined && !entry.directory) return entry;
    throw new FarsideError("bad-input", `The FAT directory entry ${node} is a directory, no file.`);
  }
}

function listed(named: NamedEntry): DirectoryEntry {
  return { name: named.name, node: named.node, kind: named.directory ? "directory" : "file" };
}

/** Letter case does not count, letter by letter: no letter becomes two, as ß would. */
function folded(name: string): string {
  return Array.from(name, (letter) => {
    const upper = letter.toUpperCase();
    return upper.length === letter.length ? upper : letter;
  }).join("");
}

/** fatgen103, "FAT[1]": two bits that are cleared while the volume is in use, and after an error of the disk. FAT12 has none. */
async function readState(volume: FatVolume, signal: AbortSignal): Promise<FileSystemState> {
  const { bits, inUse } = volume.geometry;
  const value = bits === 12 ? 0xfff : await volume.table.value(1, signal);
  const top = bits === 32 ? 28 : 16;
  const reasons = [
    ...(inUse || (bits !== 12 && (value & (1 << (top - 1))) === 0) ? ["it was in use"] : []),
    ...(bits !== 12 && (value & (1 << (top - 2))) === 0 ? ["the disk had errors"] : []),
  ];
  if (reasons.length === 0) return { kind: "clean" };
  return { kind: "dirty", note: `FAT has no journal, and its marks say that ${reasons.join(", and that ")}.` };
}
