/**
 * Queue step: makes the restore point, once all windows are in.
 *
 * 1. Content first, pointer last: disk indexes, then the manifest, then the rows, then the run's end, then its traces go.
 * 2. Any part may be repeated: indexes are content-addressed, the manifest is created once, rows come from the manifest that stands.
 * 3. Once the manifest stands the run succeeds, whatever happens: from there on errors are thrown, for the step to be repeated.
 */
import { FarsideError, hasCode } from "../core/errors.ts";
import type { AttemptId, RunId } from "../core/ids.ts";
import { restorePointOf } from "../core/restore-point.ts";
import { runEvents } from "../core/run-events.ts";
import type { BackupIn } from "../core/run-transitions.ts";
import { beginCommitting, succeedBackup } from "../core/run-transitions.ts";
import type { DiskProgress, Run } from "../core/run.ts";
import type { Manifest } from "../core/vault/manifest.ts";
import { collectDisks } from "./backup/collect-disks.ts";
import { standingManifest } from "./backup/standing-manifest.ts";
import { writeRestorePoint } from "./backup/write-restore-point.ts";
import { finishedWindows, isCopying, missingWindows, windowCount } from "./backup/windows.ts";
import { planPath } from "./backup/work-paths.ts";
import type { Context } from "./context.ts";
import { changeRun } from "./run/change-run.ts";
import { noteRestorePoint } from "./run/claim-vm.ts";
import { tryCleanUp } from "./run/clean-up-run.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import { recordEvent } from "./run/record-event.ts";
import type { StepOutcome } from "./step-outcome.ts";
import type { OpenVault } from "./vault/open-vault.ts";
import { readWork } from "./work.ts";

export async function commitRestorePoint(
  context: Context,
  input: { readonly runId: RunId; readonly attemptId: AttemptId },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId, attemptId } = input;
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  const mine = (now: Run): now is BackupIn<"copying" | "committing"> =>
    isCopying(now, attemptId) || isCommitting(now, attemptId);
  if (run === undefined || !mine(run)) return { kind: "late", reason: `the run is ${run?.state ?? "unknown"}` };
  const copying = (now: Run): boolean => isCopying(now, attemptId);
  if (run.cancelRequestedAt !== undefined && run.state === "copying") {
    // Only as long as it copies: another delivery may have begun to commit since, and that one is not torn apart.
    return endRun(context, runId, cancelledByRequest, copying, signal);
  }
  let committed: Manifest | undefined;
  const outcome = await endingOnFinalErrors(context, runId, mine, signal, async () => {
    const vault = await context.vault(signal);
    const entered = run.state === "committing" ? run : await enter(context, vault, run, signal);
    if (entered.kind === "late") return entered;
    committed = await unlessStanding(context, runId, signal, () => writeRestorePoint(context, vault, entered, signal));
    return { kind: "late", reason: "the run has ended meanwhile" };
  });
  return committed === undefined ? outcome : finish(context, runId, committed, signal);
}

/** What `write` gives, or, where it fails after the manifest was written, that manifest: a reconciler seals what it could not. */
async function unlessStanding(
  context: Context,
  runId: RunId,
  signal: AbortSignal,
  write: () => Promise<Manifest | undefined>,
): Promise<Manifest | undefined> {
  try {
    return await write();
  } catch (error) {
    const standing = await standingManifest(context, runId, signal).catch((cause: unknown) => {
      if (hasCode(cause, "vault-corrupt")) throw cause;
      const message = `It cannot be told whether the restore point of run ${runId} stands: ${String(cause)}`;
      throw new FarsideError("unavailable", message, { cause: error, details: { runId } });
    });
    if (standing === undefined) throw error;
    return standing;
  }
}

/** From copying to committing: only with every window's result. */
async function enter(
  context: Context,
  vault: OpenVault,
  run: BackupIn<"copying">,
  signal: AbortSignal,
): Promise<BackupIn<"committing"> | Extract<StepOutcome, { kind: "late" }>> {
  const { runId, set } = run;
  const plan = await readWork(vault, runId, "backupPlan", planPath(set.attemptId), signal);
  if (plan === undefined) return { kind: "late", reason: "it is not planned yet" };
  const finished = await finishedWindows(vault, runId, set.attemptId, signal);
  const missing = missingWindows(windowCount(plan), finished).length;
  if (missing > 0) return { kind: "late", reason: `${missing} windows are missing` };
  const disks: DiskProgress[] = (await collectDisks(vault, run, signal)).map(({ progress }) => progress);
  const changed = await changeRun(
    context,
    runId,
    (now) => (isCopying(now, set.attemptId) ? beginCommitting(now, disks) : undefined),
    signal,
  );
  if (changed.kind === "changed") return changed.stored.value;
  return changed.run !== undefined && isCommitting(changed.run, set.attemptId)
    ? changed.run
    : { kind: "late", reason: `the run is ${changed.run?.state ?? "unknown"}` };
}

/** The manifest stands: the projection, the run's end, and its traces. */
async function finish(context: Context, runId: RunId, manifest: Manifest, signal: AbortSignal): Promise<StepOutcome> {
  const { vmId, pointId, snapshotAt, attemptId, committedAt } = manifest;
  const message = `The restore point ${pointId} stands.`;
  await recordEvent(
    context,
    { runId, at: committedAt, name: runEvents.committed, message, fields: { point: pointId } },
    signal,
  );
  await context.catalog.restorePoints.insert(restorePointOf(manifest), signal);
  await noteRestorePoint(context, { vmId, runId, pointId, snapshotAt }, signal);
  const changed = await changeRun(
    context,
    runId,
    (now) => (isCommitting(now, attemptId) ? succeedBackup(now, context.clock.now()) : undefined),
    signal,
  );
  if (changed.kind === "refused") return { kind: "late", reason: `the run is ${changed.run?.state ?? "unknown"}` };
  await tryCleanUp(context, changed.stored.value, signal);
  return { kind: "ended", state: "succeeded" };
}

function isCommitting(run: Run, attemptId: AttemptId): run is BackupIn<"committing"> {
  return run.kind === "backup" && run.state === "committing" && run.set.attemptId === attemptId;
}
