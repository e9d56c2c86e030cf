/**
 * Copies one segment of a disk: reads the chunks that may have changed, writes what the vault has not, and the segment itself.
 *
 * 1. A chunk whose id is the parent's at the same place costs no request (rule W2); every other one is looked for (rule W3).
 * 2. Where the parent's segment is damaged, the whole stretch is read from the snapshot: the backup mends what it can.
 * 3. Where the source has no list of changes any more (the parent's snapshot is gone since the plan was made), every allocated chunk
 *    is compared. What the plan knew of the other segments stands: it was asked while the list was there.
 */
import type { ChunkWork, NamedRange, ReadGroup, SegmentPlace } from "../../core/segment-work.ts";
import { readGroups, SegmentWork } from "../../core/segment-work.ts";
import { FarsideError, hasCode } from "../../core/errors.ts";
import type { CopyCounts, DiskMethod, DiskSnapshot } from "../../core/run.ts";
import { segmentChunkCount } from "../../core/vault/disk-geometry.ts";
import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { segmentChunks } from "../../core/vault/limits.ts";
import type { ObjectId } from "../../core/vault/manifest.ts";
import { objectIdOf, zeroObjectId } from "../../core/vault/object-id.ts";
import { encodeSegment } from "../../core/vault/segment.ts";
import type { DiskSource } from "../../ports/disk-source.ts";
import type { ObjectWriter } from "../vault/object-writer.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readSegment } from "../vault/read-disk.ts";
import type { CopyCapacity } from "./copy-capacity.ts";

/** Larger reads are cheaper up to here. */
const longestReadBytes = 8 * 1024 * 1024;

export interface DiskToCopy extends CopyCapacity {
  readonly vault: OpenVault;
  readonly source: DiskSource;
  readonly snapshot: DiskSnapshot;
  readonly method: DiskMethod;
  readonly parent: { readonly index: DiskIndex; readonly snapshot: Readonly<Record<string, string>> } | undefined;
  readonly writer: ObjectWriter;
  readonly chunksAtOnce: number;
}

export interface CopiedSegment extends CopyCounts {
  readonly id: ObjectId;
}

export async function copySegment(disk: DiskToCopy, segment: number, signal: AbortSignal): Promise<CopiedSegment> {
  const { vault, snapshot } = disk;
  const { chunkSizeBytes } = vault.descriptor;
  const fromByte = segment * segmentChunks * chunkSizeBytes;
  const chunkCount = segmentChunkCount(snapshot.sizeBytes, chunkSizeBytes, segment);
  const toByte = Math.min(snapshot.sizeBytes, fromByte + chunkCount * chunkSizeBytes);
  const place = { fromByte, toByte, chunkSizeBytes, chunkCount };
  const parentIds = await parentSegment(disk, segment, signal);
  const wanted = parentIds === "damaged" ? "all" : disk.method;
  const { work, method } = await segmentWork(disk, place, wanted, signal);
  const copied = await copyChunks(disk, place, work.chunks(), parentIds === "damaged" ? [] : parentIds, signal);
  const changedBytes = method === "compare" ? copied.changedBytes : work.namedBytes;
  return { ...copied, changedBytes };
}

/** The ids that the parent has here; none beyond its end, or where there is no parent. */
async function parentSegment(
  disk: DiskToCopy,
  segment: number,
  signal: AbortSignal,
): Promise<readonly ObjectId[] | "damaged"> {
  const id = disk.parent?.index.segments[segment];
  if (disk.parent === undefined || id === undefined) return [];
  const { sizeBytes, chunkSizeBytes } = disk.parent.index;
  try {
    return await readSegment(
      disk.vault,
      { id, chunkCount: segmentChunkCount(sizeBytes, chunkSizeBytes, segment) },
      signal,
    );
  } catch (error) {
    if (hasCode(error, "vault-corrupt")) return "damaged";
    throw error;
  }
}

interface SegmentFacts {
  readonly work: SegmentWork;
  /** How it was found out. */
  readonly method: DiskMethod;
}

async function segmentWork(
  disk: DiskToCopy,
  place: SegmentPlace,
  method: DiskMethod,
  signal: AbortSignal,
): Promise<SegmentFacts> {
  if (method === "diff" && disk.parent !== undefined) {
    try {
      return { work: await changedWork(disk, disk.parent, place, signal), method };
    } catch (error) {
      if (!isDiffRefused(error)) throw error;
      return segmentWork(disk, place, "compare", signal);
    }
  }
  const work = new SegmentWork(place, method);
  for await (const range of disk.source.allocatedRanges(disk.snapshot.reference, place, signal)) {
    work.add({ ...range, kind: "data" } satisfies NamedRange);
  }
  return { work, method };
}

async function changedWork(
  { source, snapshot }: DiskToCopy,
  parent: NonNullable<DiskToCopy["parent"]>,
  place: SegmentPlace,
  signal: AbortSignal,
): Promise<SegmentWork> {
  const work = new SegmentWork(place, "diff");
  for await (const range of source.changedRanges(snapshot.reference, parent.snapshot, place, signal)) work.add(range);
  // A chunk that ended with the disk, which has grown, is longer now: the same bytes have another id.
  const { sizeBytes } = parent.index;
  if (sizeBytes < snapshot.sizeBytes && sizeBytes % place.chunkSizeBytes !== 0) work.force(sizeBytes - 1);
  return work;
}

/** Whether the source, which was asked for a list of changes, says for good that it has none. */
export function isDiffRefused(error: unknown): error is FarsideError {
  return error instanceof FarsideError && error.advice !== "retry";
}

async function copyChunks(
  disk: DiskToCopy,
  place: SegmentPlace,
  work: readonly ChunkWork[],
  parentIds: readonly ObjectId[],
  signal: AbortSignal,
): Promise<CopiedSegment> {
  const ids = work.map((what, chunk): ObjectId =>
    what === "keep" ? (parentIds[chunk] ?? zeroObjectId) : zeroObjectId,
  );
  const counts = { readBytes: 0, newChunks: 0, newBytes: 0, storedBytes: 0 };
  const longest = Math.min(Math.floor(longestReadBytes / place.chunkSizeBytes), disk.chunksAtOnce);
  const groups = readGroups(work, Math.max(1, longest));
  const copyGroup = async (group: ReadGroup): Promise<void> => {
    signal.throwIfAborted();
    const offset = place.fromByte + group.firstChunk * place.chunkSizeBytes;
    const length = Math.min(group.chunks * place.chunkSizeBytes, place.toByte - offset);
    const content = await disk.source.read(disk.snapshot.reference, offset, length, signal);
    counts.readBytes += length;
    const write = async (i: number): Promise<void> => {
      const plain = content.subarray(i * place.chunkSizeBytes, (i + 1) * place.chunkSizeBytes);
      const chunk = group.firstChunk + i;
      const parentId = parentIds[chunk];
      if (parentId !== undefined && objectIdOf(disk.vault.keys, "data", plain) === parentId) {
        ids[chunk] = parentId;
        return;
      }
      const written = await disk.writes(() => disk.writer.write("data", plain));
      ids[chunk] = written.id;
      if (written.outcome !== "written") return;
      counts.newChunks++;
      counts.newBytes += plain.length;
      counts.storedBytes += written.storedBytes;
    };
    await settleAll(Array.from({ length: group.chunks }, (_, i) => write(i)));
  };
  await settleAll(groups.map((group) => disk.places.take(group.chunks, () => copyGroup(group))));
  const same = ids.length === parentIds.length && ids.every((id, chunk) => id === parentIds[chunk]);
  const parentId = disk.parent?.index.segments[Math.floor(place.fromByte / (segmentChunks * place.chunkSizeBytes))];
  const id = same && parentId !== undefined ? parentId : (await disk.writer.write("segment", encodeSegment(ids))).id;
  return { ...counts, id, changedBytes: differentBytes(place, ids, parentIds) };
}

function differentBytes(place: SegmentPlace, ids: readonly ObjectId[], parentIds: readonly ObjectId[]): number {
  let bytes = 0;
  for (const [chunk, id] of ids.entries()) {
    if (id === (parentIds[chunk] ?? zeroObjectId)) continue;
    bytes += Math.min(place.chunkSizeBytes, place.toByte - place.fromByte - chunk * place.chunkSizeBytes);
  }
  return bytes;
}

/** As Promise.all, but nothing is left running when it throws. */
async function settleAll(promises: readonly Promise<void>[]): Promise<void> {
  for (const result of await Promise.allSettled(promises)) {
    if (result.status === "rejected") throw result.reason;
  }
}
