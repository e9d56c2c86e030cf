/**
 * The entries of a directory, in the order of its B-tree. What is damaged cannot lead in circles: no block is read twice in one walk, and
 * the tree is not deeper than any real one.
 */
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import { FarsideError } from "../../../core/errors.ts";
import { attributeTypes } from "./attribute.ts";
import type { FileReference } from "./file-reference.ts";
import type { NtfsFileName } from "./file-name.ts";
import type { IndexEntry } from "./index-node.ts";
import { parseIndexBlock, parseIndexRoot } from "./index-node.ts";
import type { NtfsFile } from "./ntfs-file.ts";
import { readMetadata } from "./read-stream.ts";
import type { NtfsVolume, Stream } from "./stream.ts";

export interface NamedFile {
  readonly file: FileReference;
  readonly name: NtfsFileName;
}

const indexName = "$I30";
/** A block of 4 KiB has at least 6 entries of the longest names: 32 levels hold more files than NTFS can. */
const deepestTree = 32;
/** 4 GiB of blocks of 4 KiB, more than 20 million entries. */
const mostBlocks = 2 ** 20;

interface Frame {
  readonly entries: readonly IndexEntry[];
  next: number;
  /** The child of the next entry was walked. */
  descended: boolean;
}

/**
 * Entries whose name lies where `side` is 0: below 0 the name is before what is wanted, above 0 after it. Only blocks that may hold such
 * names are read. Throws `bad-input` for what is no directory.
 */
export async function* walkDirectory(
  volume: NtfsVolume,
  directory: NtfsFile,
  side: (name: NtfsFileName) => number,
  signal: AbortSignal,
): AsyncGenerator<NamedFile> {
  const { where } = directory.record;
  if (!directory.record.directory) throw new FarsideError("bad-input", `The ${where} is no directory.`);
  const rootAttribute = await directory.attribute(attributeTypes.indexRoot, indexName, signal);
  if (rootAttribute?.kind !== "resident") throw imageCorrupt(where, "its $INDEX_ROOT is missing");
  const root = parseIndexRoot(rootAttribute.value);
  const readBlock = blockReader(volume, directory, root.blockBytes);
  const stack: Frame[] = [{ entries: root.entries, next: 0, descended: false }];
  for (let frame = stack.at(-1); frame !== undefined; frame = stack.at(-1)) {
    const entry = frame.entries[frame.next];
    if (entry === undefined) {
      stack.pop();
      continue;
    }
    const place = entry.key === undefined ? 1 : side(entry.key.name);
    if (place >= 0 && entry.childVcn !== undefined && !frame.descended) {
      if (stack.length >= deepestTree) throw imageCorrupt(where, `its index is deeper than ${deepestTree} levels`);
      frame.descended = true;
      stack.push({ entries: await readBlock(entry.childVcn, signal), next: 0, descended: false });
      continue;
    }
    frame.descended = false;
    frame.next = place > 0 ? frame.entries.length : frame.next + 1;
    if (place === 0 && entry.key !== undefined) yield entry.key;
  }
}

type BlockReader = (vcn: number, signal: AbortSignal) => Promise<readonly IndexEntry[]>;

function blockReader(volume: NtfsVolume, directory: NtfsFile, blockBytes: number): BlockReader {
  const where = `${directory.record.where}, index`;
  // Blocks smaller than a cluster are numbered in sectors (fs/ntfs3/index.c, `indx_init`).
  const vcnBytes = volume.geometry.clusterBytes <= blockBytes ? volume.geometry.clusterBytes : 512;
  const seen = new Set<number>();
  let blocks: Stream | undefined;
  let used: Uint8Array | undefined;
  return async (vcn, signal) => {
    if (seen.has(vcn)) throw imageCorrupt(where, `block ${vcn} is reached twice`);
    if (seen.size >= mostBlocks) throw notSupported(`An NTFS directory of more than ${mostBlocks} blocks`);
    seen.add(vcn);
    blocks ??= await directory.stream(attributeTypes.indexAllocation, indexName, signal);
    used ??= await usedBlocks(volume, directory, where, signal);
    if (blocks === undefined) throw imageCorrupt(where, "its $INDEX_ALLOCATION is missing");
    const number = (vcn * vcnBytes) / blockBytes;
    if (((used[Math.floor(number / 8)] ?? 0) & (1 << (number % 8))) === 0) {
      throw imageCorrupt(where, `block ${vcn} is reached, and free by its $BITMAP`);
    }
    return parseIndexBlock(await readMetadata(volume, blocks, vcn * vcnBytes, blockBytes, signal), vcn, where);
  };
}

/** A bit for each block. */
async function usedBlocks(
  volume: NtfsVolume,
  directory: NtfsFile,
  where: string,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const bitmap = await directory.stream(attributeTypes.bitmap, indexName, signal);
  if (bitmap === undefined) throw imageCorrupt(where, "its $BITMAP is missing");
  return readMetadata(volume, bitmap, 0, Math.min(bitmap.sizeBytes, mostBlocks / 8), signal);
}
