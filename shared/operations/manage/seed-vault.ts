import { ulid } from "../../core/ulid.ts";
import { attemptId, parseRunId } from "../../core/ids.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { zeroObjectId } from "../../core/vault/object-id.ts";
import type { Clock } from "../../ports/clock.ts";
import type { DiskImage } from "../../ports/disk-image.ts";
import { mapOrdered } from "../vault/map-ordered.ts";
import type { ObjectWriter } from "../vault/object-writer.ts";
import { createObjectWriter } from "../vault/object-writer.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { deleteWork, startSession } from "../vault/work-blobs.ts";
import { writeSegment } from "../vault/write-index.ts";

export interface SeedCounts {
  readonly chunks: number;
  readonly newChunks: number;
  /** Of the new chunks: as they stand in the image, and as they stand in the vault. */
  readonly newBytes: number;
  readonly storedBytes: number;
  /** Chunks that the vault had before. */
  readonly reusedChunks: number;
}

export interface SeedInput {
  readonly image: DiskImage;
  readonly clock: Clock;
  readonly parallelism: number;
  readonly onProgress: (bytes: number) => void;
}

/**
 * Stores the chunks and segments of a disk image, so that a backup of the same disk finds them in the vault. No restore point
 * comes of it: what no backup uses within eight days is garbage.
 */
export async function seedVault(vault: OpenVault, input: SeedInput, signal: AbortSignal): Promise<SeedCounts> {
  const runId = parseRunId(ulid(input.clock.now(), vault.random.bytes(10)));
  try {
    const session = await startSession(vault, attemptId(runId, 1), signal);
    const writer = createObjectWriter(vault, session, signal);
    return await writeImage(vault, input, writer, (ids) => writeSegment(vault, ids, session, signal), signal);
  } finally {
    await deleteWork(vault, runId, new AbortController().signal).catch(() => undefined);
  }
}

interface Chunk {
  readonly number: number;
  readonly id: ObjectId;
  readonly length: number;
  readonly outcome: "zero" | "written" | "reused" | "refreshed";
  readonly storedBytes: number;
}

async function writeImage(
  vault: OpenVault,
  { image, parallelism, onProgress }: SeedInput,
  writer: ObjectWriter,
  finishSegment: (ids: readonly ObjectId[]) => Promise<unknown>,
  signal: AbortSignal,
): Promise<SeedCounts> {
  const { chunkSizeBytes, segmentChunks } = vault.descriptor;
  const store = async (number: number, aborted: AbortSignal): Promise<Chunk> => {
    const offset = number * chunkSizeBytes;
    const length = Math.min(chunkSizeBytes, image.sizeBytes - offset);
    const plain = await image.read(offset, length, aborted);
    return { number, length, ...(await writer.write("data", plain)) };
  };
  const counts = { chunks: 0, newChunks: 0, newBytes: 0, storedBytes: 0, reusedChunks: 0 };
  const segments = new Map<number, ObjectId[]>();
  let reached = 0;
  for await (const chunk of mapOrdered(dataChunks(image, chunkSizeBytes, signal), parallelism, store, signal)) {
    const segment = Math.floor(chunk.number / segmentChunks);
    // In order, so that every segment before this one is whole.
    for (const [number, ids] of segments) {
      if (number === segment) continue;
      await finishSegment(ids);
      segments.delete(number);
    }
    const ids = segments.get(segment) ?? emptySegment(image, chunkSizeBytes, segmentChunks, segment);
    ids[chunk.number % segmentChunks] = chunk.id;
    segments.set(segment, ids);
    if (chunk.outcome !== "zero") counts.chunks++;
    if (chunk.outcome === "written") {
      counts.newChunks++;
      counts.newBytes += chunk.length;
      counts.storedBytes += chunk.storedBytes;
    } else if (chunk.outcome !== "zero") counts.reusedChunks++;
    onProgress(chunk.number * chunkSizeBytes + chunk.length - reached);
    reached = chunk.number * chunkSizeBytes + chunk.length;
  }
  for (const ids of segments.values()) await finishSegment(ids);
  onProgress(image.sizeBytes - reached);
  return counts;
}

function emptySegment(image: DiskImage, chunkSizeBytes: number, segmentChunks: number, segment: number): ObjectId[] {
  const chunks = Math.ceil(image.sizeBytes / chunkSizeBytes);
  return Array<ObjectId>(Math.min(segmentChunks, chunks - segment * segmentChunks)).fill(zeroObjectId);
}

/** The numbers of the chunks that may hold something, each once. */
async function* dataChunks(image: DiskImage, chunkSizeBytes: number, signal: AbortSignal): AsyncGenerator<number> {
  let next = 0;
  for await (const { offset, length } of image.extents(signal)) {
    const last = Math.floor((offset + length - 1) / chunkSizeBytes);
    for (let number = Math.max(next, Math.floor(offset / chunkSizeBytes)); number <= last; number++) yield number;
    next = Math.max(next, last + 1);
  }
}
