/**
 * Queue step: makes the targets of a restore, plans its windows, sends the first ones. Two deliveries at once do the same: targets are
 * made once, and the plan follows from the disk indexes, which never change.
 */
import { counted } from "../core/counted.ts";
import type { PointId, RunId } from "../core/ids.ts";
import { quote } from "../core/ids.ts";
import { FarsideError } from "../core/errors.ts";
import { runEvents } from "../core/run-events.ts";
import { restoreSpans, revertSpans } from "../core/restore-plan.ts";
import type { RestoreIn } from "../core/run-transitions.ts";
import type { Run } from "../core/run.ts";
import { copyRestore, isActive, prepareRestore } from "../core/run-transitions.ts";
import type { Manifest, ManifestDisk } from "../core/vault/manifest.ts";
import type { RestorePlan } from "../wire/work/work-blob.ts";
import type { Context } from "./context.ts";
import { leaveTargets, prepareTargets } from "./restore/targets.ts";
import { restorePlanPath } from "./restore/work-paths.ts";
import { changeRun } from "./run/change-run.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import { recordEvent } from "./run/record-event.ts";
import type { StepOutcome } from "./step-outcome.ts";
import { readManifest } from "./vault/list-restore-points.ts";
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
  if (run.cancelRequestedAt !== undefined) return endRun(context, runId, cancelledByRequest, isPreparing, signal);
  const outcome = await endingOnFinalErrors(context, runId, isPreparing, signal, () => prepare(context, run, signal));
  if (outcome.kind === "late") await leaveIfEnded(context, run, signal);
  return outcome;
}

/** Ended and cleaned up meanwhile: what this delivery, or one that failed, made after that clean-up, nobody else would take away. */
async function leaveIfEnded(context: Context, before: Run, signal: AbortSignal): Promise<void> {
  const now = (await context.catalog.runs.get(before.runId, signal))?.value;
  if (now !== undefined && isActive(now)) return;
  const run = now ?? before;
  if (run.kind === "restore") await leaveTargets(context, run, signal);
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
  const vault = await context.vault(signal);
  const sources = await readSources(vault, run, signal);
  const prepared = await prepareTargets(context, run, sources, signal);
  if (prepared === undefined) return { kind: "late", reason: "the run has ended" };
  const plan = await planWindows(context, vault, run, sources, signal);
  await createWork(vault, runId, "restorePlan", restorePlanPath, plan, signal);
  const windows = plan.windows.length;
  const changed = await changeRun(
    context,
    runId,
    (now) =>
      now.kind === "restore" && now.state === "preparing" && now.cancelRequestedAt === undefined
        ? copyRestore(now, { ...prepared, windows })
        : undefined,
    signal,
  );
  if (changed.kind === "refused") {
    if (changed.run !== undefined && isPreparing(changed.run)) {
      return endRun(context, runId, cancelledByRequest, isPreparing, signal);
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

/** The disks as their restore points have them. The points were there when they were asked for; they may have been damaged or expired since. */
async function readSources(vault: OpenVault, run: Preparing, signal: AbortSignal): Promise<readonly ManifestDisk[]> {
  const read = new Map<PointId, Manifest>();
  const sources: ManifestDisk[] = [];
  for (const { name, pointId = run.pointId } of run.disks) {
    const manifest = read.get(pointId) ?? (await readPoint(vault, run, pointId, signal));
    read.set(pointId, manifest);
    const source = manifest.disks.find((one) => one.name === name);
    if (source === undefined) throw new FarsideError("not-found", `The restore point has no disk ${quote(name)}.`);
    sources.push(source);
  }
  return sources;
}

async function readPoint(vault: OpenVault, run: Preparing, pointId: PointId, signal: AbortSignal): Promise<Manifest> {
  const found = await readManifest(vault, run.vmId, pointId, signal);
  if (found.kind === "standing") return found.manifest;
  throw new FarsideError("not-found", `The restore point ${pointId} of VM ${run.vmId} is gone.`, {
    details: { vmId: run.vmId, pointId },
  });
}

async function planWindows(
  context: Context,
  vault: OpenVault,
  run: Preparing,
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
