import { FarsideError } from "../../../core/errors.ts";
import type { BlockDevice } from "../../../ports/block-device.ts";
import type {
  DirectoryEntry,
  FileKind,
  FileStat,
  FileSystem,
  FileSystemFacts,
  NodeId,
} from "../../../ports/file-system.ts";
import { decodeFileName, encodeFileName } from "../../file-name.ts";
import { readDirectory } from "./directory.ts";
import { readAttributes } from "./extended-attributes.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { contentExtents, readContent, readTarget } from "./file-content.ts";
import type { ExtInode } from "./inode.ts";
import { readInode, rootInode } from "./inode-table.ts";
import type { OpenedVolume } from "./open-volume.ts";
import { openVolume } from "./open-volume.ts";

/** Reads ext2, ext3 and ext4; see docs/images/ext.md. Throws `image-corrupt` and `not-supported`. */
export async function openExt(device: BlockDevice, signal: AbortSignal): Promise<FileSystem> {
  return extFileSystem(await openVolume(device, { replay: true }, signal));
}

export function extFileSystem({ volume, state }: OpenedVolume): FileSystem {
  const { superblock } = volume;
  const facts: FileSystemFacts = {
    type: superblock.type,
    label: superblock.label,
    uuid: uuidText(superblock.uuid),
    sizeBytes: superblock.blocks * superblock.blockBytes,
    state,
  };
  return {
    facts,
    root: rootInode,
    async stat(node, signal) {
      return statOf(await readInode(volume, node, signal));
    },
    async *list(directory, signal) {
      const inode = await readKind(volume, directory, "directory", signal);
      for await (const entries of readDirectory(volume, inode, signal)) {
        for (const { name, inode: node, kind } of entries) yield { name: decodeFileName(name), node, kind };
      }
    },
    lookup: (directory, name, signal) => lookup(volume, directory, name, signal),
    async readLink(node, signal) {
      return decodeFileName(await readTarget(volume, await readKind(volume, node, "link", signal), signal));
    },
    async *read(node, range, signal) {
      refuseRange(range.offset, range.length);
      yield* readContent(volume, await readKind(volume, node, "file", signal), range, signal);
    },
    async *extents(node, signal) {
      yield* contentExtents(volume, await readKind(volume, node, "file", signal), signal);
    },
    async attributes(node, signal) {
      return readAttributes(volume, await readInode(volume, node, signal), signal);
    },
  };
}

async function readKind(volume: ExtVolume, node: NodeId, kind: FileKind, signal: AbortSignal): Promise<ExtInode> {
  const inode = await readInode(volume, node, signal);
  if (inode.kind === kind) return inode;
  throw new FarsideError("bad-input", `The inode ${node} is a ${inode.kind}, not a ${kind}.`);
}

/** Letter by letter, in directories that ignore case too. */
async function lookup(
  volume: ExtVolume,
  directory: NodeId,
  name: string,
  signal: AbortSignal,
): Promise<DirectoryEntry | undefined> {
  const inode = await readKind(volume, directory, "directory", signal);
  const wanted = encodeFileName(name);
  for await (const entries of readDirectory(volume, inode, signal)) {
    const found = entries.find((entry) => Buffer.compare(entry.name, wanted) === 0);
    if (found !== undefined) return { name, node: found.inode, kind: found.kind };
  }
  return undefined;
}

function statOf(inode: ExtInode): FileStat {
  const sized = inode.kind === "file" || inode.kind === "link";
  return {
    node: inode.number,
    kind: inode.kind,
    sizeBytes: sized ? inode.sizeBytes : 0,
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    links: inode.links,
    modifiedNs: inode.modifiedNs,
    changedNs: inode.changedNs,
    createdNs: inode.createdNs,
    device: deviceOf(inode),
  };
}

/** The first number in the old form of 8 + 8 bits, or else the second in the new one (old_decode_dev, new_decode_dev). */
function deviceOf({ kind, root }: ExtInode): FileStat["device"] {
  if (kind !== "character-device" && kind !== "block-device") return undefined;
  const old = root.u32le(0);
  if (old !== 0) return { major: (old >>> 8) & 0xff, minor: old & 0xff };
  const number = root.u32le(4);
  return { major: (number & 0xfff00) >>> 8, minor: (number & 0xff) | ((number >>> 12) & 0xfff00) };
}

function refuseRange(offset: number, length: number): void {
  if (Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0) return;
  throw new FarsideError("bad-input", `The range of ${length} bytes from ${offset} is none.`);
}

/** As blkid(8) prints it; all zeros: it has none. */
function uuidText(uuid: Uint8Array): string | undefined {
  const digits = Buffer.from(uuid).toString("hex");
  if (/^0+$/.test(digits)) return undefined;
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
