/** Directories: their entries in the order of the disk, and one by name. */
import type { DirectoryEntry } from "../../../ports/file-system.ts";
import { encodeFileName } from "../../file-name.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { blockEntries, entryAt } from "./directory-block.ts";
import { entryBlocks, readEntryBlock } from "./directory-blocks.ts";
import { toDirectoryEntry } from "./directory-entry.ts";
import { indexedAddresses } from "./directory-index.ts";
import type { Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";
import { sameBytes } from "./metadata.ts";
import { nameHash } from "./name-hash.ts";
import { shortformEntries } from "./shortform-directory.ts";

export async function* listDirectory(
  metadata: Metadata,
  inode: Inode,
  signal: AbortSignal,
): AsyncGenerator<DirectoryEntry> {
  const { superblock } = metadata;
  if (inode.data.format === "local") {
    for (const raw of shortformEntries(inode.data.bytes, superblock.features.fileTypes)) {
      const entry = toDirectoryEntry(raw, inode.data.bytes);
      if (entry !== undefined) yield entry;
    }
    return;
  }
  for await (const block of entryBlocks(metadata, inode, signal)) {
    for (const raw of blockEntries(block, superblock)) {
      const entry = toDirectoryEntry(raw, block.view);
      if (entry !== undefined) yield entry;
    }
  }
}

export async function lookupName(
  metadata: Metadata,
  inode: Inode,
  name: string,
  signal: AbortSignal,
): Promise<DirectoryEntry | undefined> {
  const { superblock } = metadata;
  const wanted = encodeFileName(name);
  const indexed = inode.data.format !== "local" && !superblock.features.ignoresCase;
  const raws = indexed ? candidates(metadata, inode, wanted, signal) : listDirectory(metadata, inode, signal);
  for await (const entry of raws) {
    const found = encodeFileName(entry.name);
    const same = superblock.features.ignoresCase
      ? sameBytes(lowerCase(found), lowerCase(wanted))
      : sameBytes(found, wanted);
    if (same) return entry;
  }
  return undefined;
}

/** The entries whose names have the hash of the wanted one. */
async function* candidates(
  metadata: Metadata,
  inode: Inode,
  wanted: Uint8Array,
  signal: AbortSignal,
): AsyncGenerator<DirectoryEntry> {
  const blockBytes = metadata.superblock.directoryBlockBytes;
  for await (const address of indexedAddresses(metadata, inode, nameHash(wanted), signal)) {
    const place = address % blockBytes;
    const block = await readEntryBlock(metadata, inode, (address - place) / metadata.superblock.blockBytes, signal);
    if (place < block.start || place >= block.end)
      throw imageCorrupt(block.view.where, "the index points beside its entries");
    const entry = toDirectoryEntry(entryAt(block.view, place, metadata.superblock).entry, block.view);
    if (entry !== undefined) yield entry;
  }
}

function lowerCase(name: Uint8Array): Uint8Array {
  return name.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte));
}
