/** The windows of an attempt: which there are, which are in, and the messages that drive them. */
import type { AttemptId, RunId } from "../../core/ids.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import type { Run } from "../../core/run.ts";
import type { BackupPlan } from "../../wire/work-blob.ts";
import type { Context } from "../context.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { listWorkBlobs } from "../vault/work-blobs.ts";
import { resultPrefix, windowOfPath } from "./work-paths.ts";

export function windowCount(plan: BackupPlan): number {
  return plan.disks.reduce((sum, disk) => sum + disk.windows, 0);
}

/** Which disk a window belongs to, and which of that disk's windows it is. */
export function locateWindow(plan: BackupPlan, window: number): { disk: number; window: number } | undefined {
  let first = 0;
  for (const [disk, { windows }] of plan.disks.entries()) {
    if (window < first + windows) return { disk, window: window - first };
    first += windows;
  }
  return undefined;
}

/** The windows whose results are in: found by looking, never by counting messages. */
export async function finishedWindows(
  vault: OpenVault,
  runId: RunId,
  attemptId: AttemptId,
  signal: AbortSignal,
): Promise<ReadonlySet<number>> {
  const finished = new Set<number>();
  for await (const { path } of listWorkBlobs(vault, runId, resultPrefix(attemptId), signal)) {
    finished.add(windowOfPath(path));
  }
  return finished;
}

export function missingWindows(windows: number, finished: ReadonlySet<number>): readonly number[] {
  return Array.from({ length: windows }, (_, window) => window).filter((window) => !finished.has(window));
}

export async function sendWindows(
  context: Context,
  run: { readonly runId: RunId; readonly attemptId: AttemptId },
  windows: readonly number[],
  signal: AbortSignal,
): Promise<void> {
  const { runId, attemptId } = run;
  for (const window of windows) await context.tasks.send({ kind: "copy-window", runId, attemptId, window }, 0, signal);
}

export function isCopying(run: Run, attemptId: AttemptId): run is BackupIn<"copying"> {
  return run.kind === "backup" && run.state === "copying" && run.set.attemptId === attemptId;
}
