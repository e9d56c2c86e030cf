/** What happens to a run whose attempt got no snapshots: it waits in the queue again, or ends. The rule: core/attempt-failure.ts. */
import type { Obstacle } from "../../core/attempt-failure.ts";
import { afterFailure } from "../../core/attempt-failure.ts";
import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import { conditionTexts } from "../../core/preflight.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { putBack } from "../../core/run-transitions.ts";
import { timestamp } from "../../core/timestamp.ts";
import { longestDelayMs } from "../../ports/task-queue.ts";
import { fraction } from "../../ports/random.ts";
import type { Context } from "../context.ts";
import { changeRun } from "../run/change-run.ts";
import { cancelledByRequest, endRun } from "../run/end-run.ts";
import { recordEvent } from "../run/record-event.ts";
import { removeChosenSnapshots } from "../run/remove-snapshots.ts";
import { tryStartAgain } from "../run/start-again.ts";
import type { StepOutcome } from "../step-outcome.ts";
import { isSnapshotting } from "./freeze.ts";
import { isCopying } from "./windows.ts";

export async function putBackRun(
  context: Context,
  run: BackupIn<"snapshotting">,
  obstacle: Obstacle,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const mine = (now: { readonly state: string }) => isSnapshotting(now, run.attemptId);
  const now = context.clock.now();
  const { waited, retryUntil, least, stops } = run;
  const after = afterFailure(obstacle, { waited, retryUntil, least, stops, now, fraction: fraction(context.random) });
  if (after.kind === "fail") return endRun(context, run.runId, { state: "failed", error: after.error }, mine, signal);
  const delayMs = Math.min(after.delayMs, longestDelayMs);
  const changed = await changeRun(
    context,
    run.runId,
    (row) =>
      isSnapshotting(row, run.attemptId) && row.cancelRequestedAt === undefined
        ? putBack(row, after.waiting, timestamp(now + delayMs))
        : undefined,
    signal,
  );
  if (changed.kind === "refused") {
    if (changed.run !== undefined && mine(changed.run)) {
      return endRun(context, run.runId, cancelledByRequest, mine, signal);
    }
    if (changed.run !== undefined && isCopying(changed.run, run.attemptId)) {
      // The write of the snapshot set had worked, and only its answer was lost: the run goes on.
      await context.tasks.send({ kind: "start-backup", runId: run.runId }, 0, signal);
      return { kind: "continued" };
    }
    return dropAttempt(context, run, signal);
  }
  // Before anything else: the run can wait, and the VM must not.
  if (changed.stored.value.halt !== undefined) await tryStartAgain(context, run.runId, signal);
  await context.tasks.send({ kind: "start-backup", runId: run.runId }, delayMs, signal);
  const why = obstacle.kind === "condition" ? conditionTexts[obstacle.condition] : String(obstacle.error);
  const message = `The run waits ${Math.round(delayMs / 1000)} s: ${why}.`;
  const fields = { condition: after.waiting.condition, tries: after.waiting.tries };
  await recordEvent(context, { runId: run.runId, name: runEvents.waiting, message, fields }, signal);
  await dropAttempt(context, run, signal);
  return { kind: "waiting", condition: after.waiting.condition };
}

/**
 * The attempt is over and its row does not name its snapshots: they go. What stays after a failure here, the next attempt removes. Of two
 * that look at one attempt, the slower one finds the row further on, with these snapshots: then they stay.
 */
export async function dropAttempt(
  context: Context,
  run: BackupIn<"snapshotting">,
  signal: AbortSignal,
): Promise<StepOutcome> {
  try {
    if (await isInUse(context, run, signal)) return { kind: "late", reason: "another delivery goes on with it" };
    const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
    if (vm === undefined) throw new FarsideError("not-found", `The VM ${quote(run.vm)} is not protected any more.`);
    await removeChosenSnapshots(context, vm, ({ attemptId }) => attemptId === run.attemptId, signal);
  } catch (error) {
    context.log.log("warning", "snapshots-left", { runId: run.runId, attempt: run.attempt, error: String(error) });
  }
  return { kind: "late", reason: "another attempt or the run's end came in between" };
}

async function isInUse(context: Context, run: BackupIn<"snapshotting">, signal: AbortSignal): Promise<boolean> {
  const now = (await context.catalog.runs.get(run.runId, signal))?.value;
  if (now?.kind !== "backup") return false;
  return isSnapshotting(now, run.attemptId) || ("set" in now && now.set?.attemptId === run.attemptId);
}
