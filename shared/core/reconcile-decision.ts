/**
 * What a run's row alone tells the reconciler to do. Where the row is not enough (has anything moved lately?), the answer is to look.
 *
 * A time in a row that lies further ahead than anything is ever put off was written by a clock that was ahead: it holds nothing back.
 */
import { longestHaltLookMs } from "./downtime.ts";
import { longestRestoreMs } from "./restore-plan.ts";
import type { ActiveRun, AtPlatform, EndedRun } from "./run-transitions.ts";
import { isActive, isLookedAt, leaseHolds } from "./run-transitions.ts";
import type { Run } from "./run.ts";
import { clockToleranceMs } from "./schedule-slots.ts";
import type { Timestamp } from "./timestamp.ts";
import { epochMs, msBetween, timestamp } from "./timestamp.ts";

export type ReconcileAction =
  | { readonly kind: "leave" }
  /** Its message is lost: the one of its state, which begins it or looks at the platform again. */
  | { readonly kind: "resend" }
  /** Its attempt gives no sign any more. */
  | { readonly kind: "recover-attempt" }
  /** Its work in the vault says whether it stands still. */
  | { readonly kind: "look-at-work" }
  | { readonly kind: "cancel" }
  | { readonly kind: "clean-up"; readonly run: EndedRun };

/** How long after its time a queued run's message counts as lost. */
const queueGraceMs = 5 * 60_000;
/** A machine that somebody needs stands still meanwhile. */
const halted = { graceMs: 60_000, longestMs: longestHaltLookMs };
const longestWaitMs = 8 * 24 * 3_600_000;

export function reconcileAction(run: Run, now: number, stepBudgetMs: number): ReconcileAction {
  if (!isActive(run)) return cleanUpAction(run, now);
  switch (run.state) {
    case "queued":
      if (run.cancelRequestedAt !== undefined) return { kind: "cancel" };
      return isOverdue(run, now) ? { kind: "resend" } : { kind: "leave" };
    case "snapshotting":
      if (leaseHolds(run.leaseUntil, now, stepBudgetMs)) return { kind: "leave" };
      if (run.pending === undefined) return { kind: "recover-attempt" };
      if (run.cancelRequestedAt !== undefined) return { kind: "cancel" };
      return isPast(run.pending.lookAt, now, run.halt === undefined ? undefined : halted)
        ? { kind: "resend" }
        : { kind: "leave" };
    case "copying":
      return run.cancelRequestedAt === undefined ? { kind: "look-at-work" } : { kind: "cancel" };
    case "preparing":
    case "finishing":
      return platformAction(run, now, stepBudgetMs);
    case "committing":
      return { kind: "look-at-work" };
    default:
      return run satisfies never;
  }
}

function cleanUpAction(run: EndedRun, now: number): ReconcileAction {
  if (run.cleanUp === "done") return { kind: "leave" };
  const cleanUpAt = "cleanUpAt" in run ? run.cleanUpAt : undefined;
  const aheadMs = cleanUpAt === undefined ? 0 : epochMs(cleanUpAt) - now;
  return aheadMs > 0 && aheadMs <= longestWaitMs ? { kind: "leave" } : { kind: "clean-up", run };
}

function platformAction(run: AtPlatform, now: number, stepBudgetMs: number): ReconcileAction {
  if (run.pending === undefined) return { kind: "look-at-work" };
  if (isLookedAt(run, now, stepBudgetMs)) return { kind: "leave" };
  if (run.cancelRequestedAt !== undefined) return { kind: "cancel" };
  // The service's clock decides whether it is over.
  if (msBetween(run.createdAt, timestamp(now)) >= longestRestoreMs) return { kind: "look-at-work" };
  return isPast(run.pending.lookAt, now) ? { kind: "resend" } : { kind: "leave" };
}

function isOverdue(run: Extract<ActiveRun, { state: "queued" }>, now: number): boolean {
  const due = run.kind === "backup" ? run.notBefore : run.createdAt;
  return isPast(due, now) || epochMs(run.createdAt) > now + clockToleranceMs + longestWaitMs;
}

/** Long enough for the message of that instant to count as lost. */
function isPast(due: Timestamp, now: number, limits = { graceMs: queueGraceMs, longestMs: longestWaitMs }): boolean {
  const lateMs = msBetween(due, timestamp(now));
  return lateMs > limits.graceMs || lateMs < -limits.longestMs;
}

/** How long nothing may have been written before a run counts as standing still. */
export function stillMs(stepBudgetMs: number): number {
  return stepBudgetMs + 2 * 60_000;
}
