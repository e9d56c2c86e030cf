/**
 * Queue step: begins a backup run, and goes on with one that stopped before its windows were sent.
 *
 * 1. The claim decides: of two deliveries at once, one makes the attempt. The other looks again when the claim's lease is over.
 * 2. Where the platform takes its time, the function ends and the row keeps the operation: a later delivery claims the attempt anew
 *    and looks. One that dies while it looks loses nothing: looking may be done twice.
 * 3. An attempt that fails gives the run back to the queue, with its own delay: the queue's five deliveries are not spent on a VM
 *    that is not ready.
 */
import { givesUpGuest } from "../core/attempt-failure.ts";
import { haltLeaseMs, longestHaltLookMs } from "../core/downtime.ts";
import type { RunId } from "../core/ids.ts";
import { runEvents } from "../core/run-events.ts";
import type { BackupIn } from "../core/run-transitions.ts";
import { claimAttempt, claimPending, leaseHolds, leaseMs } from "../core/run-transitions.ts";
import { epochMs } from "../core/timestamp.ts";
import type { Stored } from "../ports/catalog.ts";
import type { BackupRun } from "../core/run.ts";
import { longestDelayMs } from "../ports/task-queue.ts";
import { continueSnapshots } from "./backup/await-platform.ts";
import { isSnapshotting } from "./backup/freeze.ts";
import { continueHalted, isHalted } from "./backup/halt.ts";
import { planBackup } from "./backup/plan-backup.ts";
import { recoverAttempt } from "./backup/recover-attempt.ts";
import { dropAttempt, putBackRun } from "./backup/put-back.ts";
import { takeSnapshots, type Taken } from "./backup/take-snapshots.ts";
import { isCopying } from "./backup/windows.ts";
import type { Context } from "./context.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import { postponeIfThrottled } from "./run/postpone.ts";
import { recordEvent } from "./run/record-event.ts";
import type { StepOutcome } from "./step-outcome.ts";

export async function startBackup(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const stored = await context.catalog.runs.get(input.runId, signal);
  const run = stored?.value;
  if (stored === undefined || run === undefined || run.kind !== "backup") return late("there is no such backup run");
  switch (run.state) {
    case "queued":
      return beginAttempt(context, { value: run, etag: stored.etag }, signal);
    case "snapshotting":
      return lookAgain(context, { value: run, etag: stored.etag }, signal);
    case "copying":
      return plan(context, run, signal);
    case "committing":
    case "succeeded":
    case "failed":
    case "cancelled":
      return late(`the run is ${run.state}`);
    default:
      return run satisfies never;
  }
}

async function beginAttempt(
  context: Context,
  stored: Stored<BackupIn<"queued">>,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { value: run } = stored;
  const now = context.clock.now();
  const queued = (row: { readonly state: string }): boolean => row.state === "queued";
  if (run.cancelRequestedAt !== undefined) return endRun(context, run.runId, cancelledByRequest, queued, signal);
  if (isTooLate(run, now)) return endRun(context, run.runId, tooLate(run), queued, signal);
  const claim = claimAttempt(run, now, leaseMs(context.limits.stepBudgetMs));
  const claimed = await context.catalog.runs.replace(stored, claim, signal);
  if (claimed === "conflict") return late("another delivery has claimed the attempt");
  const message = `Attempt ${claim.attempt} began.`;
  await recordEvent(
    context,
    { runId: run.runId, name: runEvents.attemptStarted, message, fields: { attempt: claim.attempt } },
    signal,
  );
  return attempt(context, claim, takeSnapshots, signal);
}

type Work = (context: Context, run: BackupIn<"snapshotting">, signal: AbortSignal) => Promise<Taken>;

async function attempt(
  context: Context,
  claim: BackupIn<"snapshotting">,
  work: Work,
  signal: AbortSignal,
): Promise<StepOutcome> {
  let taken: Taken;
  try {
    taken = await work(context, claim, signal);
  } catch (error) {
    return putBackRun(context, claim, { kind: "error", error }, signal);
  }
  switch (taken.kind) {
    case "taken":
      return plan(context, taken.run, signal);
    case "waiting":
      await context.tasks.send({ kind: "start-backup", runId: claim.runId }, taken.retryAfterMs, signal);
      return { kind: "waiting", condition: "snapshots-pending" };
    case "obstacle":
      return putBackRun(context, claim, taken.obstacle, signal);
    case "lost":
      return dropAttempt(context, claim, signal);
    default:
      return taken satisfies never;
  }
}

async function plan(context: Context, run: BackupIn<"copying">, signal: AbortSignal): Promise<StepOutcome> {
  const mine = (now: BackupRun | Parameters<typeof isCopying>[0]) => isCopying(now, run.set.attemptId);
  return endingOnFinalErrors(context, run.runId, mine, signal, () =>
    postponeIfThrottled(context, { kind: "start-backup", runId: run.runId }, signal, () =>
      planBackup(context, run, signal),
    ),
  );
}

async function lookAgain(
  context: Context,
  stored: Stored<BackupIn<"snapshotting">>,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { value: run } = stored;
  const now = context.clock.now();
  const { stepBudgetMs } = context.limits;
  if (leaseHolds(run.leaseUntil, now, stepBudgetMs)) return lookLater(context, run, now, signal);
  if (run.pending === undefined) return recoverAttempt(context, run, signal);
  if (run.cancelRequestedAt !== undefined) {
    const mine = (row: { readonly state: string }) => isSnapshotting(row, run.attemptId);
    return endRun(context, run.runId, cancelledByRequest, mine, signal);
  }
  // Sent twice: the message that is due comes by itself, and where it is lost, the reconciler sends another.
  const aheadMs = epochMs(run.pending.lookAt) - now;
  const longestMs = run.halt === undefined ? longestDelayMs : longestHaltLookMs;
  if (aheadMs > 0 && aheadMs <= longestMs) return late("the platform is still at work on the snapshots");
  const lasts = run.halt === undefined ? leaseMs(stepBudgetMs) : Math.min(haltLeaseMs, leaseMs(stepBudgetMs));
  const claim = claimPending(run, now, lasts);
  const claimed = await context.catalog.runs.replace(stored, claim, signal);
  if (claimed === "conflict") return late("another delivery looks at it");
  return attempt(context, claim, isHalted(run) ? continueHalted : continueSnapshots, signal);
}

async function lookLater(
  context: Context,
  run: BackupIn<"snapshotting">,
  now: number,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const delayMs = epochMs(run.leaseUntil) - now + 1000;
  await context.tasks.send({ kind: "start-backup", runId: run.runId }, delayMs, signal);
  return late("another delivery is at work on it");
}

/** The window is for tries again: a run that nobody could begin in time (a long outage, a window of zero) still gets its first. */
function isTooLate(run: BackupIn<"queued">, now: number): boolean {
  return run.attempt > 0 && now > epochMs(run.retryUntil) && !givesUpGuest(run.waiting, run.least);
}

function tooLate(run: BackupIn<"queued">) {
  const waited = run.waiting === undefined ? "" : ` It had waited for: ${run.waiting.condition}.`;
  const message = `The run was not begun again before its retry window ended at ${run.retryUntil}.${waited}`;
  return { state: "failed", error: errorRecordOf(message, run.waiting?.condition) } as const;
}

function errorRecordOf(message: string, condition: string | undefined) {
  return { code: "not-ready", message, ...(condition === undefined ? {} : { details: { condition } }) } as const;
}

function late(reason: string): StepOutcome {
  return { kind: "late", reason };
}
