/** NTFS as a file system of the port. What is read and what is refused: docs/images/ntfs.md. */
import type { BlockDevice } from "../../../ports/block-device.ts";
import type {
  DirectoryEntry,
  FileExtent,
  FilePiece,
  FileRange,
  FileStat,
  FileSystem,
  FileSystemFacts,
  NodeId,
} from "../../../ports/file-system.ts";
import { FarsideError } from "../../../core/errors.ts";
import { entryName } from "../../entry-name.ts";
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import { recentBlocks } from "../../recent-blocks.ts";
import { attributeTypes } from "./attribute.ts";
import { alternateStreams } from "./alternate-streams.ts";
import { readBootSector } from "./boot-sector.ts";
import type { NamedFile } from "./directory.ts";
import { walkDirectory } from "./directory.ts";
import { parseFileName } from "./file-name.ts";
import { nodeOf, referenceOf } from "./file-reference.ts";
import { MasterFileTable } from "./master-file-table.ts";
import type { FileContent, Nature } from "./nature.ts";
import { natureOf } from "./nature.ts";
import { NtfsFile } from "./ntfs-file.ts";
import { streamExtents, streamPieces } from "./read-stream.ts";
import type { StandardInformation } from "./standard-information.ts";
import { fileAttributes, parseStandardInformation } from "./standard-information.ts";
import type { NtfsVolume } from "./stream.ts";
import { systemCompressedPieces } from "./system-compression.ts";
import type { UpperCase } from "./upper-case.ts";
import { nameOrder, readUpperCase } from "./upper-case.ts";
import { readState, readVolumeFacts } from "./volume-state.ts";

/** Numbers of the file records that every volume has: [MS-FSCC] does not name them; fs/ntfs3/ntfs.h, `MFT_REC_…`. */
const records = { log: 2, volume: 3, root: 5, upperCase: 10, firstOfUsers: 16 } as const;
/** 8 MiB: 8,192 file records, or 2,048 blocks of directories. */
const cache = { blockBytes: 64 * 1024, count: 128 } as const;

/** Throws `image-corrupt` and `not-supported`. */
export async function openNtfs(device: BlockDevice, signal: AbortSignal): Promise<FileSystem> {
  const geometry = await readBootSector(device, signal);
  const metadata = recentBlocks("NTFS volume", device, cache.blockBytes, cache.count);
  const volume: NtfsVolume = { device, metadata, geometry };
  const table = await MasterFileTable.open(volume, signal);
  const open = async (record: number): Promise<NtfsFile> =>
    NtfsFile.open(volume, table, { record, sequence: 0 }, signal);
  const facts = await readVolumeFacts(await open(records.volume), signal);
  const root = await open(records.root);
  return new NtfsFileSystem(volume, table, nodeOf({ record: records.root, sequence: root.record.sequence }), {
    type: "ntfs",
    label: facts.label,
    uuid: geometry.serial,
    sizeBytes: geometry.sizeBytes,
    state: await readState(volume, facts, await open(records.log), signal),
  });
}

class NtfsFileSystem implements FileSystem {
  readonly facts: FileSystemFacts;
  readonly root: NodeId;
  readonly #volume: NtfsVolume;
  readonly #table: MasterFileTable;
  /** Read by the first lookup. */
  #upperCase: UpperCase | undefined;

  constructor(volume: NtfsVolume, table: MasterFileTable, root: NodeId, facts: FileSystemFacts) {
    this.#volume = volume;
    this.#table = table;
    this.root = root;
    this.facts = facts;
  }

  async stat(node: NodeId, signal: AbortSignal): Promise<FileStat> {
    const file = await this.#open(node, signal);
    const information = await standardInformation(file, signal);
    const nature = await natureOf(this.#volume, file, information.attributes, signal);
    return {
      node,
      kind: nature.kind,
      sizeBytes: sizeOf(nature),
      mode: modeOf(nature, information.attributes),
      uid: 0,
      gid: 0,
      links: await countNames(file, signal),
      modifiedNs: information.modifiedNs,
      changedNs: information.changedNs,
      createdNs: information.createdNs,
      device: "device" in nature ? nature.device : undefined,
    };
  }

  async *list(directory: NodeId, signal: AbortSignal): AsyncGenerator<DirectoryEntry> {
    const file = await this.#open(directory, signal);
    for await (const named of walkDirectory(this.#volume, file, () => 0, signal)) {
      if (!named.name.dosOnly && this.#isShown(directory, named)) yield entryOf(named, file.record.where);
    }
  }

  async lookup(directory: NodeId, name: string, signal: AbortSignal): Promise<DirectoryEntry | undefined> {
    const file = await this.#open(directory, signal);
    this.#upperCase ??= await readUpperCase(this.#volume, await this.#open(records.upperCase, signal), signal);
    const order = nameOrder(this.#upperCase, name);
    // Names that differ in letter case only can be beside each other (POSIX): the one asked for comes first.
    let best: NamedFile | undefined;
    for await (const named of walkDirectory(this.#volume, file, ({ nameBytes }) => order(nameBytes), signal)) {
      if (!this.#isShown(directory, named)) continue;
      if (best === undefined || named.name.name === name || (best.name.dosOnly && !named.name.dosOnly)) best = named;
      if (best.name.name === name) break;
    }
    return best === undefined ? undefined : entryOf(best, file.record.where);
  }

  async readLink(node: NodeId, signal: AbortSignal): Promise<string> {
    const nature = await this.#nature(node, signal);
    if (nature.kind !== "link")
      throw new FarsideError("bad-input", `The NTFS node ${node} is a ${nature.kind}, no link.`);
    return nature.target;
  }

  async *read(node: NodeId, range: FileRange, signal: AbortSignal): AsyncGenerator<FilePiece> {
    const content = await this.#content(node, signal);
    if (content.kind === "stream") yield* streamPieces(this.#volume, content.stream, range, signal);
    if (content.kind === "system-compressed") yield* systemCompressedPieces(this.#volume, content.file, range, signal);
  }

  async *extents(node: NodeId, signal: AbortSignal): AsyncGenerator<FileExtent> {
    const content = await this.#content(node, signal);
    if (content.kind === "stream") yield* streamExtents(this.#volume, content.stream, signal);
    if (content.kind === "system-compressed" && content.file.sizeBytes > 0) {
      yield { kind: "encoded", offset: 0, length: content.file.sizeBytes };
    }
  }

  async attributes(node: NodeId, signal: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>> {
    return alternateStreams(this.#volume, await this.#open(node, signal), signal);
  }

  async #open(node: NodeId, signal: AbortSignal): Promise<NtfsFile> {
    return NtfsFile.open(this.#volume, this.#table, referenceOf(node), signal);
  }

  async #nature(node: NodeId, signal: AbortSignal): Promise<Nature> {
    const file = await this.#open(node, signal);
    const { attributes } = await standardInformation(file, signal);
    return natureOf(this.#volume, file, attributes, signal);
  }

  /** Throws `not-supported` where it cannot be had. */
  async #content(node: NodeId, signal: AbortSignal): Promise<Exclude<FileContent, { kind: "refused" }>> {
    const nature = await this.#nature(node, signal);
    if (nature.kind !== "file") {
      throw new FarsideError("bad-input", `The NTFS node ${node} is a ${nature.kind}, no file.`);
    }
    if (nature.content.kind === "refused") throw notSupported(nature.content.what);
    return nature.content;
  }

  /** Windows does not show the files that are the file system itself. */
  #isShown(directory: NodeId, named: NamedFile): boolean {
    return directory !== this.root || named.file.record >= records.firstOfUsers;
  }
}

async function standardInformation(file: NtfsFile, signal: AbortSignal): Promise<StandardInformation> {
  const attribute = await file.attribute(attributeTypes.standardInformation, "", signal);
  if (attribute?.kind === "resident") return parseStandardInformation(attribute.value);
  throw imageCorrupt(file.record.where, "its $STANDARD_INFORMATION is missing");
}

function entryOf(named: NamedFile, where: string): DirectoryEntry {
  return { name: entryName(named.name.name, where), node: nodeOf(named.file), kind: named.name.kind };
}

function sizeOf(nature: Nature): number {
  if (nature.kind === "link") return Buffer.byteLength(nature.target);
  return nature.kind === "file" ? nature.sizeBytes : 0;
}

/** NTFS has access lists in place of modes. On a directory "read-only" only says that its icon is special. */
function modeOf(nature: Nature, attributes: number): number {
  if (nature.kind === "link") return 0o777;
  if (nature.kind === "directory") return 0o755;
  return (attributes & fileAttributes.readOnly) === 0 ? 0o644 : 0o444;
}

async function countNames(file: NtfsFile, signal: AbortSignal): Promise<number> {
  let names = 0;
  for await (const attribute of file.attributes(attributeTypes.fileName, signal)) {
    if (attribute.kind === "resident" && !parseFileName(attribute.value).dosOnly) names += 1;
  }
  return names;
}
