/**
 * Makes one stretch of a disk what the restore point holds there, and writes only the pages that differ.
 *
 * It compares with the safety snapshot, which does not change and which nobody but the run has written after: doing it twice reads the same,
 * writes the same and counts the same.
 */
import { differingRuns } from "../../core/page-difference.ts";
import type { RunId } from "../../core/ids.ts";
import { chunkLength } from "../../core/vault/disk-geometry.ts";
import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { objectIdOf } from "../../core/vault/object-id.ts";
import type { DiskReverter, HeldDisk } from "../../ports/disk-reverter.ts";
import type { DiskSource } from "../../ports/disk-source.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { fetchPiece, type PiecePlan } from "../vault/read-disk.ts";

export interface DiskInRevert {
  readonly vault: OpenVault;
  readonly index: DiskIndex;
  readonly source: DiskSource;
  readonly reverter: DiskReverter;
  readonly disk: HeldDisk;
  readonly runId: RunId;
  /** The safety snapshot. */
  readonly before: Readonly<Record<string, string>>;
}

/** The stretches to look at: the point's chunks, and where it has zeros, what the disk may hold. None is longer than a chunk. */
export async function* stretches(
  { source, before, index }: DiskInRevert,
  plans: AsyncIterable<PiecePlan>,
  signal: AbortSignal,
): AsyncGenerator<PiecePlan, void, undefined> {
  for await (const plan of plans) {
    if (plan.kind === "chunk") {
      yield plan;
      continue;
    }
    const window = { fromByte: plan.offset, toByte: plan.offset + plan.length };
    for await (const range of source.allocatedRanges(before, window, signal)) {
      const end = range.offset + range.length;
      for (let offset = range.offset; offset < end; offset += index.chunkSizeBytes) {
        yield { kind: "zero", offset, length: Math.min(index.chunkSizeBytes, end - offset) };
      }
    }
  }
}

/** Returns the bytes that were written or cleared. */
export async function revertStretch(revert: DiskInRevert, plan: PiecePlan, signal: AbortSignal): Promise<number> {
  const { vault, index, source, reverter, disk, runId, before } = revert;
  const { offset, length } = plan;
  const have = await source.read(before, offset, length, signal);
  if (plan.kind === "chunk" && isWholeChunk(index, plan) && objectIdOf(vault.keys, "data", have) === plan.id) return 0;
  const piece = await fetchPiece(vault, index, plan, signal);
  const want = piece.kind === "data" ? piece.content : undefined;
  let writtenBytes = 0;
  for (const run of differingRuns(have, want)) {
    const at = offset + run.offset;
    if (run.kind === "zero" || want === undefined) await reverter.clear(disk, runId, at, run.length, signal);
    else await reverter.write(disk, runId, at, want.subarray(run.offset, run.offset + run.length), signal);
    writtenBytes += run.length;
  }
  return writtenBytes;
}

/** An id is of a whole chunk; a stretch may begin within one. */
function isWholeChunk({ sizeBytes, chunkSizeBytes }: DiskIndex, { offset, length }: PiecePlan): boolean {
  if (offset % chunkSizeBytes !== 0) return false;
  return length === chunkLength(sizeBytes, chunkSizeBytes, offset / chunkSizeBytes);
}
