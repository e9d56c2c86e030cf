/**
 * Cancels a run. One that waits or copies ends here and now; one whose owner is in the middle of something that must not be torn apart
 * (a frozen guest, a commit, targets being made) is asked, and ends at its next step. A commit that has begun may still succeed. A restore
 * that waits for the platform has no owner between two looks.
 *
 * A VM that the run has stopped is started all the same. Where that was tried in vain, cancelling the ended run once more gives it up, some
 * minutes after its end: a cancel that crosses the end was not meant so.
 */
import { giveUpAfterMs } from "../core/downtime.ts";
import { FarsideError } from "../core/errors.ts";
import type { RunId } from "../core/ids.ts";
import { runEvents } from "../core/run-events.ts";
import type { ActiveRun, BackupIn } from "../core/run-transitions.ts";
import { haltOf, isActive, requestCancel, withoutHalt } from "../core/run-transitions.ts";
import type { Run } from "../core/run.ts";
import { msBetween, timestamp } from "../core/timestamp.ts";
import type { Context } from "./context.ts";
import { changeRun } from "./run/change-run.ts";
import { tryCleanUp } from "./run/clean-up-run.ts";
import { cancelledByRequest, endRun } from "./run/end-run.ts";
import { isOwned } from "./run/owned.ts";
import { recordEvent } from "./run/record-event.ts";

export interface CancelOutcome {
  /** `requested`: its next step will end it; `cancelled`: it has ended now; `ended`: it had ended before. */
  readonly kind: "requested" | "cancelled" | "ended";
  readonly run: Run;
}

/** Throws `not-found` for an unknown run. */
export async function cancelRun(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<CancelOutcome> {
  const { runId } = input;
  const asked = await changeRun(
    context,
    runId,
    (run) => (isActive(run) ? requestCancel(run, context.clock.now()) : undefined),
    signal,
  );
  if (asked.kind === "refused") {
    if (asked.run !== undefined) return { kind: "ended", run: await giveUpStart(context, asked.run, signal) };
    throw new FarsideError("not-found", `There is no run ${runId}.`, { details: { runId } });
  }
  const at = asked.stored.value.cancelRequestedAt;
  const facts = { runId, name: runEvents.cancelRequested, message: "Somebody asked to cancel the run." };
  await recordEvent(context, at === undefined ? facts : { ...facts, at }, signal);
  await endRun(context, runId, cancelledByRequest, (run) => mayEndNow(context, run), signal);
  const run = (await context.catalog.runs.get(runId, signal))?.value ?? asked.stored.value;
  if (isActive(run)) return { kind: "requested", run };
  return { kind: run.state === "cancelled" ? "cancelled" : "ended", run };
}

function mayGiveUp({ halt, finishedAt }: BackupIn<"succeeded" | "failed" | "cancelled">, now: number): boolean {
  return (halt?.failedStarts ?? 0) > 0 && msBetween(finishedAt, timestamp(now)) > giveUpAfterMs;
}

/** Of a run that has ended: nobody starts its VM any more, where that was tried in vain. Its VM is left as it is. */
async function giveUpStart(context: Context, run: Run, signal: AbortSignal): Promise<Run> {
  const since = haltOf(run)?.requestedAt;
  const changed = await changeRun(
    context,
    run.runId,
    (now) =>
      now.kind === "backup" && !isActive(now) && mayGiveUp(now, context.clock.now())
        ? withoutHalt(now, undefined)
        : undefined,
    signal,
  );
  if (changed.kind === "refused") return changed.run ?? run;
  const message = `Somebody gave up starting the VM that was stopped at ${since}: it is left as it is.`;
  await recordEvent(context, { runId: run.runId, name: runEvents.leftStopped, message, level: "warning" }, signal);
  // Its clean-up goes on: the VM is free for other runs.
  const { value } = changed.stored;
  if (!isActive(value)) await tryCleanUp(context, value, signal);
  return (await context.catalog.runs.get(run.runId, signal))?.value ?? value;
}

function mayEndNow(context: Context, run: ActiveRun): boolean {
  if (run.state === "preparing" || run.state === "finishing")
    return run.pending !== undefined && !isOwned(context, run);
  return run.state === "queued" || run.state === "copying";
}
