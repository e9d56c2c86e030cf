/**
 * Queue step: makes disks of the restored targets, once all windows are written.
 *
 * 1. A target that is not finished is no disk: a restore that stops anywhere leaves nothing that could be taken for one.
 * 2. All targets are looked at before the first is finished. Where one fails for good all the same, the run's clean-up takes back those
 *    that were finished: a restore that failed has no disk that looks whole.
 * 3. Where the platform does it, and makes a VM or an exchange besides, it may take many deliveries (at-platform.ts); between two of them the
 *    run can still be cancelled.
 */
import type { RunId } from "../core/ids.ts";
import type { AtPlatform, RestoreIn } from "../core/run-transitions.ts";
import { finishingRestore, succeedRestore } from "../core/run-transitions.ts";
import type { Run } from "../core/run.ts";
import { isMachineTarget } from "../core/run.ts";
import type { Context } from "./context.ts";
import { atPlatform, isMine, type Looked } from "./restore/at-platform.ts";
import { leaveIfEnded } from "./restore/leave-if-ended.ts";
import { machineRestoreOf } from "./restore/machine-restore.ts";
import { restorePlanPath, restoreResultPath, restoreResultPrefix } from "./restore/work-paths.ts";
import { changeRun } from "./run/change-run.ts";
import { tryCleanUp } from "./run/clean-up-run.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import type { StepOutcome } from "./step-outcome.ts";
import { mapOrdered } from "./vault/map-ordered.ts";
import { listWorkBlobs } from "./vault/work-blobs.ts";
import { readWork } from "./work.ts";

/** Small blobs, read while the step has nothing else to do. */
const resultsAtOnce = 8;

type Finishing = RestoreIn<"copying" | "finishing">;

export async function finishRestore(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId } = input;
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run === undefined || !isFinishing(run)) {
    if (run?.kind === "restore" && isMachineTarget(run.target)) await leaveIfEnded(context, run, signal);
    return { kind: "late", reason: `the run is ${run?.state ?? "unknown"}` };
  }
  if (run.state === "copying" && run.cancelRequestedAt !== undefined) {
    return endRun(context, runId, cancelledByRequest, (now) => now.state === "copying", signal);
  }
  const outcome = await endingOnFinalErrors(context, runId, isFinishing, signal, () => finish(context, run, signal));
  if (outcome.kind === "late" && isMachineTarget(run.target)) await leaveIfEnded(context, run, signal);
  return outcome;
}

async function finish(context: Context, run: Finishing, signal: AbortSignal): Promise<StepOutcome> {
  const { runId } = run;
  if (run.state === "copying") {
    const vault = await context.vault(signal);
    let windowsDone = 0;
    for await (const _ of listWorkBlobs(vault, runId, restoreResultPrefix, signal)) windowsDone++;
    if (windowsDone < run.progress.windows) {
      return { kind: "late", reason: `${run.progress.windows - windowsDone} windows are missing` };
    }
    const changed = await changeRun(
      context,
      runId,
      (now) => (now.kind === "restore" && now.state === "copying" ? finishingRestore(now) : undefined),
      signal,
    );
    if (changed.kind === "refused" && changed.run?.state !== "finishing")
      return { kind: "late", reason: "the run has ended" };
  }
  if (isMachineTarget(run.target)) return finishAtPlatform(context, run, signal);
  const writtenBytes = await finishTargets(context, run, signal);
  return succeed(context, runId, { writtenBytes }, () => true, signal);
}

/** The platform makes disks of what was written, then the VM or the exchange. */
function finishAtPlatform(context: Context, { runId }: Finishing, signal: AbortSignal): Promise<StepOutcome> {
  const look = async (run: AtPlatform): Promise<Looked> => {
    const { restore } = await machineRestoreOf(await context.vault(signal), run, signal);
    const progress = await context.machines.finish(restore, run.pending?.operation, signal);
    if (progress.kind === "waiting") return progress;
    const mine = (now: Run): boolean => isMine(now, run);
    return { kind: "over", outcome: await succeed(context, runId, { found: progress }, mine, signal) };
  };
  return atPlatform(context, { runId, state: "finishing" }, look, signal);
}

async function succeed(
  context: Context,
  runId: RunId,
  facts: Parameters<typeof succeedRestore>[1],
  mine: (run: Run) => boolean,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const ended = await changeRun(
    context,
    runId,
    (now) =>
      now.kind === "restore" && now.state === "finishing" && mine(now)
        ? succeedRestore(now, facts, context.clock.now())
        : undefined,
    signal,
  );
  if (ended.kind === "refused") return { kind: "late", reason: "another delivery was faster" };
  await tryCleanUp(context, ended.stored.value, signal);
  return { kind: "ended", state: "succeeded" };
}

/** Gives what each disk was changed by, where the run is a revert. */
async function finishTargets(
  context: Context,
  run: Finishing,
  signal: AbortSignal,
): Promise<readonly number[] | undefined> {
  if (run.target.kind === "revert") return writtenPerDisk(context, run, signal);
  for (const disk of run.disks) await context.target.check(disk, run.runId, signal);
  for (const disk of run.disks) await context.target.finish(disk, run.runId, signal);
  return undefined;
}

async function writtenPerDisk(context: Context, run: Finishing, signal: AbortSignal): Promise<readonly number[]> {
  const { runId } = run;
  const vault = await context.vault(signal);
  const written = run.disks.map(() => 0);
  const plan = await readWork(vault, runId, "restorePlan", restorePlanPath, signal);
  const read = async ({ disk, window }: { readonly disk: number; readonly window: number }, aborted: AbortSignal) => ({
    disk,
    bytes: (await readWork(vault, runId, "restoreResult", restoreResultPath(window), aborted))?.writtenBytes ?? 0,
  });
  const windows = plan?.windows.map(({ disk }, window) => ({ disk, window })) ?? [];
  for await (const { disk, bytes } of mapOrdered(windows, resultsAtOnce, read, signal)) {
    written[disk] = (written[disk] ?? 0) + bytes;
  }
  return written;
}

function isFinishing(run: Run): run is Finishing {
  return run.kind === "restore" && (run.state === "copying" || run.state === "finishing");
}
