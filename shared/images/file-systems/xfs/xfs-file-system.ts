/** The port of file systems over an XFS whose log is replayed already. */
import { FarsideError } from "../../../core/errors.ts";
import type {
  DirectoryEntry,
  FileExtent,
  FileKind,
  FilePiece,
  FileRange,
  FileStat,
  FileSystem,
  FileSystemFacts,
  FileSystemState,
  NodeId,
} from "../../../ports/file-system.ts";
import { decodeFileName } from "../../file-name.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { readAttributes } from "./attributes.ts";
import { listDirectory, lookupName } from "./directory.ts";
import { fileExtents, readFile } from "./file-content.ts";
import type { Inode } from "./inode.ts";
import { readInode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";
import type { Superblock } from "./superblock.ts";
import { readTarget } from "./symbolic-link.ts";

export class XfsFileSystem implements FileSystem {
  readonly facts: FileSystemFacts;
  readonly root: NodeId;
  readonly #metadata: Metadata;

  constructor(metadata: Metadata, state: FileSystemState) {
    const { superblock } = metadata;
    this.#metadata = metadata;
    this.root = superblock.rootInode;
    this.facts = {
      type: "xfs",
      label: superblock.label,
      uuid: formatUuid(superblock),
      sizeBytes: superblock.blockCount * superblock.blockBytes,
      state,
    };
  }

  async stat(node: NodeId, signal: AbortSignal): Promise<FileStat> {
    const inode = await readInode(this.#metadata, node, signal);
    const sized = inode.kind === "file" || inode.kind === "link";
    return {
      node,
      kind: inode.kind,
      sizeBytes: sized ? inode.sizeBytes : 0,
      mode: inode.mode,
      uid: inode.uid,
      gid: inode.gid,
      links: inode.links,
      modifiedNs: inode.modifiedNs,
      changedNs: inode.changedNs,
      createdNs: inode.createdNs,
      device: deviceNumber(inode),
    };
  }

  async *list(directory: NodeId, signal: AbortSignal): AsyncGenerator<DirectoryEntry> {
    yield* listDirectory(this.#metadata, await this.#open(directory, "directory", signal), signal);
  }

  async lookup(directory: NodeId, name: string, signal: AbortSignal): Promise<DirectoryEntry | undefined> {
    return lookupName(this.#metadata, await this.#open(directory, "directory", signal), name, signal);
  }

  async readLink(node: NodeId, signal: AbortSignal): Promise<string> {
    return decodeFileName(await readTarget(this.#metadata, await this.#open(node, "link", signal), signal));
  }

  async *read(node: NodeId, range: FileRange, signal: AbortSignal): AsyncGenerator<FilePiece> {
    yield* readFile(this.#metadata, await this.#open(node, "file", signal), range, signal);
  }

  async *extents(node: NodeId, signal: AbortSignal): AsyncGenerator<FileExtent> {
    yield* fileExtents(this.#metadata, await this.#open(node, "file", signal), 0, signal);
  }

  async attributes(node: NodeId, signal: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>> {
    return readAttributes(this.#metadata, await readInode(this.#metadata, node, signal), signal);
  }

  async #open(node: NodeId, kind: FileKind, signal: AbortSignal): Promise<Inode> {
    const inode = await readInode(this.#metadata, node, signal);
    if (inode.kind === kind) return inode;
    throw new FarsideError("bad-input", `Inode ${node} is no ${kind} but a ${inode.kind}.`);
  }
}

/** As IRIX numbered devices: 14 bits major, 18 bits minor. */
function deviceNumber(inode: Inode): FileStat["device"] {
  if (inode.kind !== "block-device" && inode.kind !== "character-device") return undefined;
  if (inode.data.format !== "device") throw imageCorrupt(inode.where, "it names no device");
  const number = inode.data.bytes.u32be(0);
  return { major: (number >>> 18) & 0x3fff, minor: number & 0x3ffff };
}

function formatUuid(superblock: Superblock): string {
  const digits = Buffer.from(superblock.uuid).toString("hex");
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
