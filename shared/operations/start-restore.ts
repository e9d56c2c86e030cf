/**
 * Queue step: makes the targets of a restore, plans its windows, sends the first ones. Two deliveries at once do the same: targets are
 * made once, and the plan follows from the disk indexes, which never change. Where the platform makes them, it is asked by one delivery at a
 * time, and may take many (at-platform.ts).
 */
import { counted } from "../core/counted.ts";
import type { RunId } from "../core/ids.ts";
import { runEvents } from "../core/run-events.ts";
import { restoreSpans, revertSpans } from "../core/restore-plan.ts";
import type { AtPlatform, PreparedRestore, RestoreIn } from "../core/run-transitions.ts";
import type { Run } from "../core/run.ts";
import { isMachineTarget } from "../core/run.ts";
import { copyRestore, prepareRestore } from "../core/run-transitions.ts";
import type { ManifestDisk } from "../core/vault/manifest.ts";
import type { RestorePlan } from "../wire/work-blob.ts";
import type { Context } from "./context.ts";
import { atPlatform, isMine, type Looked } from "./restore/at-platform.ts";
import { claimSwapped } from "./restore/claim-swapped.ts";
import { leaveIfEnded } from "./restore/leave-if-ended.ts";
import { machineRestoreOf } from "./restore/machine-restore.ts";
import { readSources } from "./restore/read-sources.ts";
import { prepareTargets } from "./restore/targets.ts";
import { restorePlanPath } from "./restore/work-paths.ts";
import { changeRun } from "./run/change-run.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import { recordEvent } from "./run/record-event.ts";
import type { StepOutcome } from "./step-outcome.ts";
import type { OpenVault } from "./vault/open-vault.ts";
import { readDiskIndex } from "./vault/read-disk.ts";
import { createWork } from "./work.ts";

type Preparing = RestoreIn<"queued" | "preparing">;

export async function startRestore(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId } = input;
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run?.kind === "restore" && run.state === "copying") {
    // An earlier delivery may have died before it had sent them all; one that comes twice does no harm.
    await sendFirst(context, run.runId, run.progress.windows, signal);
    return { kind: "late", reason: "its first windows are sent again" };
  }
  if (run === undefined || !isPreparing(run)) {
    if (run !== undefined) await leaveIfEnded(context, run, signal);
    return { kind: "late", reason: `the run is ${run?.state ?? "unknown"}` };
  }
  // Whoever looks at the platform for it is not to be interrupted.
  if (run.cancelRequestedAt !== undefined && (run.state === "queued" || !isMachineTarget(run.target))) {
    return endRun(context, runId, cancelledByRequest, (now) => now.state === run.state, signal);
  }
  const outcome = await endingOnFinalErrors(context, runId, isPreparing, signal, () => prepare(context, run, signal));
  if (outcome.kind === "late") await leaveIfEnded(context, run, signal);
  return outcome;
}

async function prepare(context: Context, run: Preparing, signal: AbortSignal): Promise<StepOutcome> {
  const { runId } = run;
  const begun = await changeRun(
    context,
    runId,
    (now) => (now.kind === "restore" && now.state === "queued" ? prepareRestore(now, context.clock.now()) : undefined),
    signal,
  );
  if (begun.kind === "refused" && begun.run?.state !== "preparing")
    return { kind: "late", reason: "the run has moved on" };
  if (isMachineTarget(run.target)) return prepareAtPlatform(context, run, signal);
  const vault = await context.vault(signal);
  const { disks: sources } = await readSources(vault, run, signal);
  const prepared = await prepareTargets(context, run, sources, signal);
  if (prepared === undefined) return { kind: "late", reason: "the run has ended" };
  return beginCopying(context, run, { prepared, sources, mine: isPreparing }, signal);
}

function prepareAtPlatform(context: Context, { runId }: Preparing, signal: AbortSignal): Promise<StepOutcome> {
  const look = async (run: AtPlatform): Promise<Looked> => {
    await claimSwapped(context, run, signal);
    const { restore, sources } = await machineRestoreOf(await context.vault(signal), run, signal);
    const progress = await context.machines.prepare(restore, run.pending?.operation, signal);
    if (progress.kind === "waiting") return progress;
    const mine = (now: Run): boolean => isMine(now, run);
    const prepared = { disks: run.disks, found: progress };
    return { kind: "over", outcome: await beginCopying(context, run, { prepared, sources, mine }, signal) };
  };
  return atPlatform(context, { runId, state: "preparing" }, look, signal);
}

async function beginCopying(
  context: Context,
  run: Preparing | AtPlatform,
  made: {
    readonly prepared: Omit<PreparedRestore, "windows">;
    readonly sources: readonly ManifestDisk[];
    /** Whether the row is still the one that this delivery speaks for. */
    readonly mine: (run: Run) => boolean;
  },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId } = run;
  const { prepared, sources, mine } = made;
  const vault = await context.vault(signal);
  const plan = await planWindows(context, vault, run, sources, signal);
  await createWork(vault, runId, "restorePlan", restorePlanPath, plan, signal);
  const windows = plan.windows.length;
  const changed = await changeRun(
    context,
    runId,
    (now) =>
      now.kind === "restore" && now.state === "preparing" && mine(now) && now.cancelRequestedAt === undefined
        ? copyRestore(now, { ...prepared, windows })
        : undefined,
    signal,
  );
  if (changed.kind === "refused") {
    const { run: now } = changed;
    if (now !== undefined && isPreparing(now) && mine(now)) {
      return endRun(context, runId, cancelledByRequest, (row) => isPreparing(row) && mine(row), signal);
    }
    return { kind: "late", reason: "another delivery was faster" };
  }
  await sendFirst(context, runId, windows, signal);
  const message = `${counted(run.disks.length, "target")} made ready; ${counted(windows, "window")} to be written.`;
  await recordEvent(context, { runId, name: runEvents.targetsPrepared, message, fields: { windows } }, signal);
  return { kind: "done" };
}

async function sendFirst(context: Context, runId: RunId, windows: number, signal: AbortSignal): Promise<void> {
  const first = Array.from({ length: Math.min(windows, context.limits.windowsAhead) }, (_, window) => window);
  for (const window of first) await context.tasks.send({ kind: "restore-window", runId, window }, 0, signal);
  if (windows === 0) await context.tasks.send({ kind: "finish-restore", runId }, 0, signal);
}

async function planWindows(
  context: Context,
  vault: OpenVault,
  run: Pick<Preparing, "target">,
  sources: readonly ManifestDisk[],
  signal: AbortSignal,
): Promise<RestorePlan> {
  const spansOf = run.target.kind === "revert" ? revertSpans : restoreSpans;
  const windows: RestorePlan["windows"][number][] = [];
  for (const [disk, source] of sources.entries()) {
    const index = await readDiskIndex(vault, source, signal);
    for (const span of spansOf(index, context.limits.windowBytes)) windows.push({ disk, index: source.index, ...span });
  }
  return { windows };
}

function isPreparing(run: { readonly state: string }): run is Preparing {
  return (run.state === "queued" || run.state === "preparing") && "pointId" in run;
}
