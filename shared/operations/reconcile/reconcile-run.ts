import { reconcileAction } from "../../core/reconcile-decision.ts";
import type { ActiveRun } from "../../core/run-transitions.ts";
import { isActive, withoutFreeze } from "../../core/run-transitions.ts";
import type { Run } from "../../core/run.ts";
import { timestamp } from "../../core/timestamp.ts";
import { recoverAttempt } from "../backup/recover-attempt.ts";
import type { Context } from "../context.ts";
import type { ReconcileCounts } from "./counts.ts";
import { changeRun } from "../run/change-run.ts";
import { thawOf, tryCleanUp } from "../run/clean-up-run.ts";
import { cancelledByRequest, endRun } from "../run/end-run.ts";
import { isOwned } from "../run/owned.ts";
import { recordResent } from "./record-resent.ts";
import { lookAtWork } from "./look-at-work.ts";

export async function reconcileRun(
  context: Context,
  run: Run,
  counts: ReconcileCounts,
  signal: AbortSignal,
): Promise<void> {
  await thawLeft(context, run, signal);
  const action = reconcileAction(run, context.clock.now(), context.limits.stepBudgetMs);
  switch (action.kind) {
    case "leave":
      return;
    case "clean-up": {
      const cleaned = await tryCleanUp(context, action.run, signal);
      if (cleaned === "done") counts.runsCleaned++;
      else if (cleaned === "failed") counts.failures++;
      return;
    }
    case "cancel": {
      // Somebody may have begun to look at the platform since the row was read.
      const mine = (now: ActiveRun): boolean => now.state === run.state && !isOwned(context, now);
      const ended = await endRun(context, run.runId, cancelledByRequest, mine, signal);
      if (ended.kind === "ended") counts.runsEnded++;
      return;
    }
    case "resend":
      await resend(context, run, signal);
      counts.runsDriven++;
      return;
    case "recover-attempt": {
      if (run.kind !== "backup" || run.state !== "snapshotting") return;
      const outcome = await recoverAttempt(context, run, signal);
      counts[outcome.kind === "ended" ? "runsEnded" : "runsDriven"]++;
      return;
    }
    case "look-at-work":
      if (isActive(run)) await lookAtWork(context, run, counts, signal);
      return;
    default:
      return action satisfies never;
  }
}

/** A guest that an attempt could not thaw. One that is being frozen now is its attempt's; that of an ended run, its clean-up's. */
async function thawLeft(context: Context, run: Run, signal: AbortSignal): Promise<void> {
  if (run.kind !== "backup" || !isActive(run) || run.state === "snapshotting" || run.freeze === undefined) return;
  const { token } = run.freeze;
  try {
    await thawOf(context, run.freeze, signal);
  } catch (error) {
    // Tried again at every tick; what else the run needs does not wait for it.
    context.log.log("warning", "guest-not-thawed", { runId: run.runId, error: String(error) });
    return;
  }
  const thawed = (now: Run) =>
    now.kind === "backup" && now.state !== "snapshotting" && now.freeze?.token === token
      ? withoutFreeze(now)
      : undefined;
  await changeRun(context, run.runId, thawed, signal);
}

/** Row first: with its new time the run is left alone for a while, so that a slow queue is not filled with copies. */
async function resend(context: Context, run: Run, signal: AbortSignal): Promise<void> {
  const { runId } = run;
  const notBefore = timestamp(context.clock.now());
  await changeRun(
    context,
    runId,
    (now) => {
      if (now.kind === "restore") {
        const looks = now.state === "preparing" || now.state === "finishing";
        return looks && now.pending !== undefined && now.state === run.state && !isOwned(context, now)
          ? { ...now, pending: { ...now.pending, lookAt: notBefore } }
          : undefined;
      }
      if (now.state === "queued") return { ...now, notBefore };
      if (now.state !== "snapshotting" || now.pending === undefined) return undefined;
      return { ...now, pending: { ...now.pending, lookAt: notBefore } };
    },
    signal,
  );
  const restoring = run.state === "finishing" ? "finish-restore" : "start-restore";
  await context.tasks.send({ kind: run.kind === "backup" ? "start-backup" : restoring, runId }, 0, signal);
  await recordResent(context, run, "Its message was sent again.", signal);
}
