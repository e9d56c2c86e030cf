/**
 * Plans the windows of a copying run and sends the first ones.
 *
 * 1. Each disk's plan is a work blob of its own, written once: planning goes on where it stood, however often it is interrupted.
 * 2. The plan stands when `plan/all` stands; `progress` in the row says that the first windows have been sent.
 */
import { counted } from "../../core/counted.ts";
import { FarsideError } from "../../core/errors.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { withProgress } from "../../core/run-transitions.ts";
import type { DiskSnapshot } from "../../core/run.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import type { BackupPlan } from "../../wire/work-blob.ts";
import type { Context } from "../context.ts";
import { cancelledByRequest, endRun } from "../run/end-run.ts";
import { changeRun } from "../run/change-run.ts";
import { recordEvent } from "../run/record-event.ts";
import type { StepOutcome } from "../step-outcome.ts";
import { readManifest } from "../vault/list-restore-points.ts";
import { mapOrdered } from "../vault/map-ordered.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { createWork, readWork } from "../work.ts";
import { keepGuestState } from "./keep-guest-state.ts";
import { planDisk } from "./plan-disk.ts";
import { isCopying, sendWindows, windowCount } from "./windows.ts";
import { diskPlanPath, planPath } from "./work-paths.ts";

export async function planBackup(
  context: Context,
  run: BackupIn<"copying">,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId, set } = run;
  const { attemptId } = set;
  if (run.cancelRequestedAt !== undefined) {
    return endRun(context, runId, cancelledByRequest, (now) => isCopying(now, attemptId), signal);
  }
  if (run.progress !== undefined) return { kind: "late", reason: "its windows have been sent" };
  const vault = await context.vault(signal);
  const plan =
    (await readWork(vault, runId, "backupPlan", planPath(attemptId), signal)) ??
    (await makePlan(context, vault, run, signal));
  if (plan === "unfinished") {
    await context.tasks.send({ kind: "start-backup", runId }, 0, signal);
    return { kind: "continued" };
  }
  const windows = windowCount(plan);
  const first = Array.from({ length: Math.min(windows, context.limits.windowsAhead) }, (_, window) => window);
  await sendWindows(context, { runId, attemptId }, first, signal);
  if (windows === 0) await context.tasks.send({ kind: "commit-restore-point", runId, attemptId }, 0, signal);
  await changeRun(
    context,
    runId,
    (now) =>
      isCopying(now, attemptId) && now.progress === undefined
        ? withProgress(now, { windows, windowsDone: 0 }, now.disks)
        : undefined,
    signal,
  );
  return { kind: "done" };
}

/** The access to a disk takes a platform seconds, twice where it is compared: of 32 disks one after the other, minutes. */
const plannedAtOnce = 8;

async function makePlan(
  context: Context,
  vault: OpenVault,
  run: BackupIn<"copying">,
  signal: AbortSignal,
): Promise<BackupPlan | "unfinished"> {
  const deadline = context.clock.monotonic() + context.limits.stepBudgetMs;
  const { runId, set } = run;
  const parent = await readParent(vault, run, signal);
  const planOne = async ([disk, snapshot]: [number, DiskSnapshot], aborted: AbortSignal) => {
    const path = diskPlanPath(set.attemptId, disk);
    const standing = await readWork(vault, runId, "diskPlan", path, aborted);
    if (standing !== undefined) return standing;
    if (context.clock.monotonic() > deadline) return "unfinished";
    const facts = { vault, source: context.source(set.source), run, disk, snapshot, parent, deadline };
    const guestState = await keepGuestState(context, facts, aborted);
    const planned = await planDisk(context, facts, aborted);
    if (planned === "unfinished") return planned;
    const made = guestState === undefined ? planned : { ...planned, guestState };
    const written = await createWork(vault, runId, "diskPlan", path, made, aborted);
    if (written === "created") return made;
    // Somebody else has planned it at the same time; samples are drawn by chance, so that theirs may differ from ours.
    const theirs = await readWork(vault, runId, "diskPlan", path, aborted);
    if (theirs === undefined) throw workGone(runId);
    return theirs;
  };
  const disks: BackupPlan["disks"][number][] = [];
  let unfinished = false;
  // To the end, also where one is unfinished: each keeps how far it came.
  for await (const plan of mapOrdered(set.snapshots.entries(), plannedAtOnce, planOne, signal)) {
    if (plan === "unfinished") unfinished = true;
    else disks.push({ disk: plan.disk, windows: plan.windows.length });
  }
  if (unfinished) return "unfinished";
  const plan = { disks };
  await createWork(vault, runId, "backupPlan", planPath(set.attemptId), plan, signal);
  const fields = { windows: windowCount(plan), disks: disks.length };
  const message = `To be copied: ${counted(fields.windows, "window")} of ${counted(fields.disks, "disk")}.`;
  await recordEvent(context, { runId, name: runEvents.planned, message, fields }, signal);
  return plan;
}

/** The restore point that this run builds on; undefined where it is gone or damaged, which makes every disk a full copy. */
async function readParent(
  vault: OpenVault,
  run: BackupIn<"copying">,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  const { parentPointId } = run.set;
  if (parentPointId === undefined) return undefined;
  try {
    const found = await readManifest(vault, run.vmId, parentPointId, signal);
    return found.kind === "standing" ? found.manifest : undefined;
  } catch (error) {
    if (error instanceof FarsideError && error.code === "vault-corrupt") return undefined;
    throw error;
  }
}

export function workGone(runId: string): FarsideError {
  return new FarsideError("conflict", `Work of run ${runId} is gone: somebody has cleaned it up.`, {
    details: { runId },
  });
}
