/**
 * Runs whose row does not say whether they stand still: the newest of their work blobs does, by the service's clock.
 */
import type { ActiveBackup, ActiveRestore, ActiveRun } from "../../core/run-transitions.ts";
import { longestRestoreMs } from "../../core/restore-plan.ts";
import { stillMs } from "../../core/reconcile-decision.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { msBetween, timestamp } from "../../core/timestamp.ts";
import { longestSessionMs } from "../../core/vault/limits.ts";
import { isTooLate } from "../../core/vault/session-rules.ts";
import type { Context } from "../context.ts";
import { standingManifest } from "../backup/standing-manifest.ts";
import { missingWindows, sendWindows, windowCount } from "../backup/windows.ts";
import { planPath, resultPrefix, windowOfPath } from "../backup/work-paths.ts";
import type { ReconcileCounts } from "./counts.ts";
import { restoreResultPrefix } from "../restore/work-paths.ts";
import { endRun } from "../run/end-run.ts";
import { isOwned } from "../run/owned.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { listWorkBlobs, putWorkBlob } from "../vault/work-blobs.ts";
import { readWork } from "../work.ts";
import { recordResent } from "./record-resent.ts";

/** Not a sign of life: our own look at the service's clock. */
const lookPath = "reconciler-look";
/** Counts as a sign of life, so that messages sent again get their time. */
const sentPath = "reconciler-sent";

export async function lookAtWork(
  context: Context,
  run: ActiveRun,
  counts: ReconcileCounts,
  signal: AbortSignal,
): Promise<void> {
  const vault = await context.vault(signal);
  const seen = await lookAround(context, vault, run, signal);
  if (seen === "moving") return;
  const ended =
    run.kind === "backup"
      ? await endIfTooOld(context, run, seen.serviceTime, signal)
      : await endIfTooLong(context, run, seen.serviceTime, signal);
  if (ended) {
    counts.runsEnded++;
    return;
  }
  if (!seen.still) return;
  await putWorkBlob(vault, run.runId, sentPath, new Uint8Array(), signal);
  const message =
    run.kind === "backup"
      ? await driveBackup(context, vault, run, seen.finished, signal)
      : await driveRestore(context, run, seen.finished, signal);
  counts.runsDriven++;
  await recordResent(context, run, message, signal);
}

interface Seen {
  readonly serviceTime: Timestamp;
  readonly still: boolean;
  readonly finished: ReadonlySet<number>;
}

/** Our own clock only raises the suspicion; the service's decides. */
async function lookAround(
  context: Context,
  vault: OpenVault,
  run: ActiveRun,
  signal: AbortSignal,
): Promise<Seen | "moving"> {
  const results = run.kind === "backup" && "set" in run ? resultPrefix(run.set.attemptId) : restoreResultPrefix;
  const finished = new Set<number>();
  let newest = run.startedAt ?? run.createdAt;
  let anything = false;
  for await (const { path, lastModified } of listWorkBlobs(vault, run.runId, "", signal)) {
    if (path === lookPath) continue;
    if (path.startsWith(results)) finished.add(windowOfPath(path));
    if (!anything || lastModified > newest) newest = lastModified;
    anything = true;
  }
  const limit = stillMs(context.limits.stepBudgetMs);
  const now = timestamp(context.clock.now());
  const ageMs = msBetween(newest, now);
  const session = run.kind === "backup" && "set" in run ? run.set.sessionStartedAt : newest;
  const isLong =
    run.kind === "backup"
      ? msBetween(session, now) >= longestSessionMs
      : msBetween(run.createdAt, now) >= longestRestoreMs;
  if (ageMs >= 0 && ageMs < limit && !isLong) return "moving";
  const { lastModified: serviceTime } = await putWorkBlob(vault, run.runId, lookPath, new Uint8Array(), signal);
  // Without any work blob there is nothing of the service's to compare: then our own clock has to do.
  const still = anything ? msBetween(newest, serviceTime) >= limit : true;
  return { serviceTime, still, finished };
}

/** A session that cannot commit any more is not worth another byte. One whose manifest stands has succeeded, and only needs its end. */
async function endIfTooOld(
  context: Context,
  run: ActiveBackup,
  serviceTime: Timestamp,
  signal: AbortSignal,
): Promise<boolean> {
  if (run.state !== "copying" && run.state !== "committing") return false;
  const { sessionStartedAt, attemptId } = run.set;
  if (!isTooLate(sessionStartedAt, serviceTime)) return false;
  if ((await standingManifest(context, run.runId, signal)) !== undefined) return false;
  const message = `The run did not come to its end within ${longestSessionMs / 3_600_000} hours of ${sessionStartedAt}.`;
  const end = { state: "failed", error: { code: "session-too-old", message } } as const;
  const mine = (now: ActiveRun) => now.kind === "backup" && "set" in now && now.set.attemptId === attemptId;
  return (await endRun(context, run.runId, end, mine, signal)).kind === "ended";
}

/** By the service's clock: our own may have jumped. */
async function endIfTooLong(
  context: Context,
  run: ActiveRestore,
  serviceTime: Timestamp,
  signal: AbortSignal,
): Promise<boolean> {
  if (msBetween(run.createdAt, serviceTime) < longestRestoreMs) return false;
  const message = `The restore did not come to its end within ${longestRestoreMs / 86_400_000} days of ${run.createdAt}: restore fewer disks at once, or see in its events what held it up.`;
  const end = { state: "failed", error: { code: "deadline-passed", message } } as const;
  const mine = (now: ActiveRun): boolean => !isOwned(context, now);
  return (await endRun(context, run.runId, end, mine, signal)).kind === "ended";
}

async function driveBackup(
  context: Context,
  vault: OpenVault,
  run: ActiveBackup,
  finished: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<string> {
  const { runId } = run;
  if (run.state !== "copying" && run.state !== "committing") return "";
  const { attemptId } = run.set;
  const plan = await readWork(vault, runId, "backupPlan", planPath(attemptId), signal);
  if (run.state === "copying" && (plan === undefined || run.progress === undefined)) {
    await context.tasks.send({ kind: "start-backup", runId }, 0, signal);
    return "Planning is sent again.";
  }
  const missing = plan === undefined ? [] : missingWindows(windowCount(plan), finished);
  if (missing.length === 0 || run.state === "committing") {
    await context.tasks.send({ kind: "commit-restore-point", runId, attemptId }, 0, signal);
    return "The commit is sent again.";
  }
  const first = missing.slice(0, context.limits.windowsAhead);
  await sendWindows(context, { runId, attemptId }, first, signal);
  return `${first.length} of ${missing.length} missing windows are sent again.`;
}

async function driveRestore(
  context: Context,
  run: ActiveRestore,
  finished: ReadonlySet<number>,
  signal: AbortSignal,
): Promise<string> {
  const { runId } = run;
  switch (run.state) {
    case "queued":
    case "preparing":
      await context.tasks.send({ kind: "start-restore", runId }, 0, signal);
      return "The start is sent again.";
    case "copying": {
      const missing = missingWindows(run.progress.windows, finished);
      const first = missing.slice(0, context.limits.windowsAhead);
      for (const window of first) await context.tasks.send({ kind: "restore-window", runId, window }, 0, signal);
      if (missing.length === 0) await context.tasks.send({ kind: "finish-restore", runId }, 0, signal);
      return missing.length === 0
        ? "The end is sent again."
        : `${first.length} of ${missing.length} missing windows are sent again.`;
    }
    case "finishing":
      await context.tasks.send({ kind: "finish-restore", runId }, 0, signal);
      return "The end is sent again.";
    default:
      return run satisfies never;
  }
}
