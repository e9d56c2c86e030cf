/** Finds out how one disk is copied and which segments its windows hold: the pure part is core/backup-plan.ts. */
import type { FullReason } from "../../core/backup-plan.ts";
import { fullReason, fullReasonTexts, groupWindows } from "../../core/backup-plan.ts";
import { hasCode } from "../../core/errors.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import type { DiskMethod, DiskSnapshot } from "../../core/run.ts";
import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { segmentChunks } from "../../core/vault/limits.ts";
import type { Manifest, ManifestDisk } from "../../core/vault/manifest.ts";
import { zeroObjectId } from "../../core/vault/object-id.ts";
import type { ByteRange, ChangedRange, DiskSource } from "../../ports/disk-source.ts";
import type { DiskPlan } from "../../wire/work-blob.ts";
import type { Context } from "../context.ts";
import { recordEvent } from "../run/record-event.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { quarantineObject } from "../vault/quarantine-object.ts";
import { readDiskIndex } from "../vault/read-disk.ts";
import { putWork, readWork } from "../work.ts";
import { believesDiff, disbelieveDiff } from "./believe-diff.ts";
import { isDiffRefused } from "./copy-segment.ts";
import { sampleDiff } from "./sample-diff.ts";
import { listingPath } from "./work-paths.ts";

export interface DiskToPlan {
  readonly vault: OpenVault;
  readonly source: DiskSource;
  readonly run: BackupIn<"copying">;
  readonly disk: number;
  readonly snapshot: DiskSnapshot;
  readonly parent: Manifest | undefined;
  /** By the monotonic clock; after it the listing is kept as far as it came. */
  readonly deadline: number;
}

type Base =
  | { readonly kind: "full"; readonly reason: FullReason }
  | { readonly kind: "parent"; readonly disk: ManifestDisk; readonly index: DiskIndex };

/** By number, each with the bytes that its window will read there. */
type Segments = Map<number, number> | "unfinished";

export async function planDisk(
  context: Context,
  facts: DiskToPlan,
  signal: AbortSignal,
): Promise<DiskPlan | "unfinished"> {
  const { snapshot } = facts;
  const base = await findBase(facts, signal);
  let method: DiskMethod = base.kind === "full" ? "all" : "diff";
  let segments = base.kind === "full" ? undefined : await believedSegments(context, facts, base, signal);
  if (segments === undefined) {
    if (method === "diff") method = "compare";
    segments = await listSegments(context, facts, base, method, signal);
  }
  if (segments === "unfinished") return segments;
  const windows = groupWindows(
    [...segments].sort(([a], [b]) => a - b),
    context.limits.windowBytes,
  );
  await recordPlan(context, facts, base, method, windows.length, signal);
  return {
    disk: snapshot.disk,
    mode: base.kind === "full" ? "full" : "incremental",
    method,
    sizeBytes: snapshot.sizeBytes,
    ...(base.kind === "full"
      ? {}
      : { parent: { index: base.disk.index, sizeBytes: base.disk.sizeBytes, snapshot: base.disk.snapshot } }),
    windows,
  };
}

/** The segments that changed by the source's own list; undefined where that is not there, or not to be believed. */
async function believedSegments(
  context: Context,
  facts: DiskToPlan,
  base: Extract<Base, { kind: "parent" }>,
  signal: AbortSignal,
): Promise<Segments | undefined> {
  const { run, snapshot, source } = facts;
  const { reference } = snapshot;
  if (!(await believesDiff(context, source, { runId: run.runId, reference }, signal))) return undefined;
  try {
    const segments = await listSegments(context, facts, base, "diff", signal);
    if (segments === "unfinished") return segments;
    const parent = { index: base.index, snapshot: base.disk.snapshot };
    const sample = { ...facts, parent, changedSegments: new Set(segments.keys()) };
    const { offset, damagedSegments } = await sampleDiff(context, sample, signal);
    // What a window looks at, it mends where it is damaged.
    const segmentSize = facts.vault.descriptor.chunkSizeBytes * segmentChunks;
    for (const segment of damagedSegments) segments.set(segment, segmentSize);
    if (offset === undefined) return segments;
    await disbelieveDiff(context, source, { runId: run.runId, disk: snapshot.disk, offset, reference }, signal);
    return undefined;
  } catch (error) {
    if (!isDiffRefused(error)) throw error;
    // A service that gives no list of changes any more: the parent's snapshot went, or the disk was overwritten whole.
    context.log.log("warning", "diff-refused", { runId: run.runId, disk: snapshot.disk, error: error.message });
    return undefined;
  }
}

async function findBase(facts: DiskToPlan, signal: AbortSignal): Promise<Base> {
  const { vault, source, snapshot, parent } = facts;
  if (parent === undefined) return { kind: "full", reason: "no-parent" };
  const disk = parent.disks.find((one) => one.name === snapshot.disk);
  const reason = fullReason(snapshot, disk);
  if (reason !== undefined || disk === undefined) return { kind: "full", reason: reason ?? "new-disk" };
  if (!(await source.snapshotExists(disk.snapshot, signal))) return { kind: "full", reason: "parent-snapshot-gone" };
  try {
    const index = await readDiskIndex(vault, disk, signal);
    if (index.chunkSizeBytes !== vault.descriptor.chunkSizeBytes) return { kind: "full", reason: "other-chunk-size" };
    return { kind: "parent", disk, index };
  } catch (error) {
    if (!hasCode(error, "vault-corrupt")) throw error;
    // What is damaged there must not stop the VM from being protected: a full copy depends on none of it, and puts it back. Out of its
    // place first: where nothing has changed, the new index is that very object, and would be taken for written.
    await quarantineObject(vault, "disk-index", disk.index, signal);
    return { kind: "full", reason: "parent-damaged" };
  }
}

/** The segments that a window must look at, each with the bytes that it will read there. Memory: one number for each segment. */
async function listSegments(
  context: Context,
  facts: DiskToPlan,
  base: Base,
  method: DiskMethod,
  signal: AbortSignal,
): Promise<Segments> {
  const { vault, source, run, snapshot, disk } = facts;
  const { chunkSizeBytes } = vault.descriptor;
  const segmentSize = chunkSizeBytes * segmentChunks;
  const path = `${listingPath(run.set.attemptId, disk)}-${method}`;
  const before = await readWork(vault, run.runId, "listingProgress", path, signal);
  const segments = new Map<number, number>(before?.segments ?? []);
  const window = { fromByte: before?.fromByte ?? 0, toByte: snapshot.sizeBytes };
  const ranges: AsyncIterable<ByteRange | ChangedRange> =
    method === "diff" && base.kind === "parent"
      ? source.changedRanges(snapshot.reference, base.disk.snapshot, window, signal)
      : source.allocatedRanges(snapshot.reference, window, signal);
  let lastChunk = -1;
  for await (const range of ranges) {
    const first = Math.floor(range.offset / chunkSizeBytes);
    const last = Math.floor((range.offset + range.length - 1) / chunkSizeBytes);
    const reads = !("kind" in range) || range.kind === "data";
    if (
      context.clock.monotonic() > facts.deadline &&
      Math.floor(first / segmentChunks) > Math.floor(lastChunk / segmentChunks)
    ) {
      const fromByte = Math.floor(first / segmentChunks) * segmentSize;
      await putWork(vault, run.runId, "listingProgress", path, { fromByte, segments: [...segments] }, signal);
      return "unfinished";
    }
    // Ranges come in order and smaller than chunks: a chunk counts once.
    for (let segment = Math.floor(first / segmentChunks); segment <= Math.floor(last / segmentChunks); segment++) {
      const from = Math.max(first, segment * segmentChunks, lastChunk + 1);
      const to = Math.min(last, (segment + 1) * segmentChunks - 1);
      const bytes = reads ? Math.max(0, to - from + 1) * chunkSizeBytes : 0;
      segments.set(segment, (segments.get(segment) ?? 0) + bytes);
    }
    if (reads) lastChunk = Math.max(lastChunk, last);
  }
  if (base.kind === "parent") addParents(segments, base, snapshot, method, vault);
  return segments;
}

/** Segments that change though the source names nothing in them. */
function addParents(
  segments: Map<number, number>,
  base: Extract<Base, { kind: "parent" }>,
  snapshot: DiskSnapshot,
  method: DiskMethod,
  vault: OpenVault,
): void {
  const touch = (segment: number): void => void segments.set(segment, segments.get(segment) ?? 0);
  // Compared with nothing: what the parent has and the source has not allocated any more has become zeros.
  if (method === "compare") {
    for (const [segment, id] of base.index.segments.entries()) if (id !== zeroObjectId) touch(segment);
  }
  // A disk that has grown: its last segment has more chunks now, and its last chunk may be longer.
  const segmentSize = vault.descriptor.chunkSizeBytes * segmentChunks;
  const last = base.index.segments.length - 1;
  if (snapshot.sizeBytes > base.disk.sizeBytes && base.disk.sizeBytes % segmentSize !== 0) {
    if (base.index.segments[last] !== zeroObjectId) touch(last);
  }
}

async function recordPlan(
  context: Context,
  facts: DiskToPlan,
  base: Base,
  method: DiskMethod,
  windows: number,
  signal: AbortSignal,
): Promise<void> {
  const { run, snapshot } = facts;
  const { disk } = snapshot;
  const message =
    base.kind === "full"
      ? `${disk} is copied in full: ${fullReasonTexts[base.reason]}.`
      : `${disk} is copied incrementally, ${method === "diff" ? "by the source's list of changed pages" : "comparing every allocated chunk"}.`;
  const mode = base.kind === "full" ? "full" : "incremental";
  const fields = { disk, mode, method, windows, ...(base.kind === "full" ? { reason: base.reason } : {}) };
  await recordEvent(context, { runId: run.runId, name: runEvents.diskPlanned, message, fields }, signal);
}
