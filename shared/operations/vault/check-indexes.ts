import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { imagesOf } from "../../core/vault/manifest-images.ts";
import { chunkLength } from "../../core/vault/disk-geometry.ts";
import { segmentChunks } from "../../core/vault/limits.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { zeroObjectId } from "../../core/vault/object-id.ts";
import type { LivePoint } from "./check-restore-points.ts";
import { mapOrdered } from "./map-ordered.ts";
import type { OpenVault } from "./open-vault.ts";
import { diskSegments, readDiskIndex } from "./read-disk.ts";
import type { DiskRef } from "./read-disk.ts";
import { readObject } from "./read-object.ts";
import type { Damages } from "./trace-damages.ts";

/** A segment as its place in a disk needs it. */
export interface SegmentRef {
  readonly id: ObjectId;
  readonly chunkCount: number;
  readonly chunkSizeBytes: number;
  /** Plain bytes of its last chunk, which is short at a disk's end. */
  readonly lastChunkBytes: number;
}

/** Reads every distinct disk index and configuration, and gives the distinct segments that are stored. */
export async function checkIndexes(
  vault: OpenVault,
  points: readonly LivePoint[],
  damages: Damages,
  parallelism: number,
  signal: AbortSignal,
): Promise<{ readonly segments: readonly SegmentRef[] }> {
  const disks = new Map<string, DiskRef>();
  const documents = new Set<ObjectId>();
  for (const { manifest } of points) {
    for (const image of imagesOf(manifest)) disks.set(`${image.index}/${image.sizeBytes}`, image);
    documents.add(manifest.configuration);
  }
  const segments = new Map<string, SegmentRef>();
  const readIndex = async (disk: DiskRef, aborted: AbortSignal): Promise<DiskIndex | undefined> =>
    damages.attempt("disk-index", disk.index, () => readDiskIndex(vault, disk, aborted));
  for await (const index of mapOrdered(disks.values(), parallelism, readIndex, signal)) {
    if (index === undefined) continue;
    for (const segment of segmentRefs(index)) {
      if (segment.id !== zeroObjectId)
        segments.set(`${segment.id}/${segment.chunkCount}/${segment.lastChunkBytes}`, segment);
    }
  }
  const readDocument = async (id: ObjectId, aborted: AbortSignal): Promise<void> => {
    await damages.attempt("document", id, () => readObject(vault, "document", id, aborted));
  };
  for await (const _ of mapOrdered(documents, parallelism, readDocument, signal));
  return { segments: Array.from(segments.values()) };
}

function segmentRefs(index: DiskIndex): readonly SegmentRef[] {
  const { sizeBytes, chunkSizeBytes } = index;
  return diskSegments(index).map(({ id, chunkCount, number }) => ({
    id,
    chunkCount,
    chunkSizeBytes,
    lastChunkBytes: chunkLength(sizeBytes, chunkSizeBytes, number * segmentChunks + chunkCount - 1),
  }));
}
