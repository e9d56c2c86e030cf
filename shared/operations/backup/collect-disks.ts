import type { BackupIn } from "../../core/run-transitions.ts";
import type { CopyCounts, DiskProgress, DiskSnapshot } from "../../core/run.ts";
import type { ObjectId } from "../../core/vault/manifest.ts";
import type { DiskPlan } from "../../wire/work-blob.ts";
import { mapOrdered } from "../vault/map-ordered.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readWork } from "../work.ts";
import { workGone } from "./plan-backup.ts";
import { diskPlanPath, resultPath } from "./work-paths.ts";

export interface CollectedDisk {
  readonly snapshot: DiskSnapshot;
  readonly plan: DiskPlan;
  /** The segments that were copied. */
  readonly segments: ReadonlyMap<number, ObjectId>;
  readonly progress: DiskProgress;
}

const resultsAtOnce = 8;

/** What the windows of each disk have done, from their results. Memory: one id for each segment that was copied. */
export async function collectDisks(
  vault: OpenVault,
  run: BackupIn<"copying" | "committing">,
  signal: AbortSignal,
): Promise<readonly CollectedDisk[]> {
  const { runId, set } = run;
  const disks: CollectedDisk[] = [];
  let window = 0;
  for (const [disk, snapshot] of set.snapshots.entries()) {
    const plan = await readWork(vault, runId, "diskPlan", diskPlanPath(set.attemptId, disk), signal);
    if (plan === undefined) throw workGone(runId);
    const first = window;
    window += plan.windows.length;
    const numbers = plan.windows.map((_, i) => first + i);
    const read = (number: number, aborted: AbortSignal) =>
      readWork(vault, runId, "windowResult", resultPath(set.attemptId, number), aborted);
    const segments = new Map<number, ObjectId>();
    let counts: CopyCounts = { changedBytes: 0, readBytes: 0, newChunks: 0, newBytes: 0, storedBytes: 0 };
    for await (const result of mapOrdered(numbers, resultsAtOnce, read, signal)) {
      if (result === undefined) throw workGone(runId);
      for (const [segment, id] of result.segments) segments.set(segment, id);
      counts = sum(counts, result);
    }
    const { mode, method } = plan;
    const progress = { name: snapshot.disk, sizeBytes: snapshot.sizeBytes, mode, method, ...counts };
    disks.push({ snapshot, plan, segments, progress });
  }
  return disks;
}

function sum(a: CopyCounts, b: CopyCounts): CopyCounts {
  return {
    changedBytes: a.changedBytes + b.changedBytes,
    readBytes: a.readBytes + b.readBytes,
    newChunks: a.newChunks + b.newChunks,
    newBytes: a.newBytes + b.newBytes,
    storedBytes: a.storedBytes + b.storedBytes,
  };
}
