/** Which bytes of a disk each window of a restore writes: whole segments, so that each index entry is read by one window. */
import { groupWindows } from "./backup-plan.ts";
import type { DiskIndex } from "./vault/disk-index.ts";
import { segmentChunks } from "./vault/limits.ts";
import { zeroObjectId } from "./vault/object-id.ts";

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
  return groupWindows(filled, windowBytes).map(({ segments }) => {
    const first = segments[0] ?? [0, 0];
    const last = segments.at(-1) ?? first;
    const toByte = Math.min(index.sizeBytes, (last[0] + last[1]) * segmentBytes);
    return { fromByte: first[0] * segmentBytes, toByte };
  });
}
