/**
 * How one disk of a backup is copied, and in which windows.
 *
 * 1. A disk that is not surely the parent's disk, grown at its end at most, is copied in full.
 * 2. A window is whole segments of one disk, so that each window writes segments of its own and none writes another's.
 * 3. Segments that no window names are the parent's (incremental) or zeros (full).
 */
import type { DiskSnapshot } from "./run.ts";
import type { ManifestDisk } from "./vault/manifest.ts";

export type FullReason =
  | "no-parent"
  | "new-disk"
  | "other-identity"
  | "shrunk"
  | "grown-over-4-tib"
  | "parent-snapshot-gone"
  | "parent-damaged"
  | "other-chunk-size";

export const fullReasonTexts: Readonly<Record<FullReason, string>> = {
  "no-parent": "the VM has no restore point to build on",
  "new-disk": "its last restore point does not have this disk",
  "other-identity": "another disk has taken its name",
  shrunk: "it has become smaller",
  "grown-over-4-tib": "it has grown over 4 TiB, where the source forgets what changed",
  "parent-snapshot-gone": "the snapshot of its last restore point is gone",
  "parent-damaged": "its index in the last restore point is damaged",
  "other-chunk-size": "its last restore point has chunks of another size",
};

const diffBoundaryBytes = 4 * 1024 ** 4;

/** Why this disk cannot build on its parent, as far as the two descriptions tell; undefined where it can. */
export function fullReason(disk: DiskSnapshot, parent: ManifestDisk | undefined): FullReason | undefined {
  if (parent === undefined) return "new-disk";
  if (parent.identity !== disk.identity) return "other-identity";
  if (disk.sizeBytes < parent.sizeBytes) return "shrunk";
  if (parent.sizeBytes <= diffBoundaryBytes && disk.sizeBytes > diffBoundaryBytes) return "grown-over-4-tib";
  return undefined;
}

/** Consecutive segments: the first one, and how many. */
export type SegmentRun = readonly [first: number, count: number];

export interface PlannedWindow {
  readonly segments: readonly SegmentRun[];
  /** Bytes that are expected to be read. */
  readonly bytes: number;
}

/** So that a window of nearly empty segments ends in time too. */
const maxWindowSegments = 256;

/** Groups segments, in order, until each window has about `windowBytes` to read. */
export function groupWindows(
  segments: Iterable<readonly [segment: number, bytes: number]>,
  windowBytes: number,
): readonly PlannedWindow[] {
  const windows: PlannedWindow[] = [];
  let runs: [number, number][] = [];
  let bytes = 0;
  let count = 0;
  const close = (): void => {
    if (count > 0) windows.push({ segments: runs, bytes });
    [runs, bytes, count] = [[], 0, 0];
  };
  for (const [segment, segmentBytes] of segments) {
    if (count > 0 && (bytes + segmentBytes > windowBytes || count >= maxWindowSegments)) close();
    const last = runs.at(-1);
    if (last !== undefined && last[0] + last[1] === segment) last[1]++;
    else runs.push([segment, 1]);
    bytes += segmentBytes;
    count++;
  }
  close();
  return windows;
}

export function* segmentsOf(runs: readonly SegmentRun[]): Generator<number, void, undefined> {
  for (const [first, count] of runs) for (let i = 0; i < count; i++) yield first + i;
}
