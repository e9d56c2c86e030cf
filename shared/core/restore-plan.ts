/** Which bytes of a disk each window of a restore writes: whole segments, so that each index entry is read by one window. */
import { groupWindows } from "./backup-plan.ts";
import type { DiskIndex } from "./vault/disk-index.ts";
import { segmentChunks } from "./vault/limits.ts";
import { zeroObjectId } from "./vault/object-id.ts";

/**
 * How long a restore may take from its request to its end: then it fails, so that every run ends. Below the time for which garbage
 * stays (`collectionDelayMs`): a restore point that expires while it is restored can be read to the end.
 */
export const longestRestoreMs = 7 * 24 * 3_600_000;

/** A segment of zeros costs a revert a list of what is there now, not a read: as much as so much of a full one. */
const zeroSegmentShare = 64;

export interface RestoreSpan {
  readonly fromByte: number;
  /** Not part of it. */
  readonly toByte: number;
}

/** Stretches of zeros at the ends of a window are left out; those within are passed over by the reader. */
export function restoreSpans(index: DiskIndex, windowBytes: number): readonly RestoreSpan[] {
  const segmentBytes = index.chunkSizeBytes * segmentChunks;
  const filled = index.segments.flatMap((id, segment): [number, number][] =>
    id === zeroObjectId ? [] : [[segment, segmentBytes]],
  );
  return spansOf(filled, index, windowBytes);
}

/** The same for a revert, which looks at the whole disk: where the point has zeros, the disk may have something else. */
export function revertSpans(index: DiskIndex, windowBytes: number): readonly RestoreSpan[] {
  const segmentBytes = index.chunkSizeBytes * segmentChunks;
  const all = index.segments.map((id, segment): [number, number] => [
    segment,
    id === zeroObjectId ? segmentBytes / zeroSegmentShare : segmentBytes,
  ]);
  return spansOf(all, index, windowBytes);
}

function spansOf(
  segments: readonly (readonly [number, number])[],
  index: DiskIndex,
  windowBytes: number,
): readonly RestoreSpan[] {
  const segmentBytes = index.chunkSizeBytes * segmentChunks;
  return groupWindows(segments, windowBytes).map(({ segments: runs }) => {
    const first = runs[0] ?? [0, 0];
    const last = runs.at(-1) ?? first;
    const toByte = Math.min(index.sizeBytes, (last[0] + last[1]) * segmentBytes);
    return { fromByte: first[0] * segmentBytes, toByte };
  });
}
