/**
 * The clean-up of a restore to the platform that did not succeed: everything that it made goes, and of an exchange the VM has its former
 * disks again. The platform takes its time for that as well: the row stays to be cleaned up until nothing is left.
 */
import { FarsideError, hasCode } from "../../core/errors.ts";
import { longestRestoreMs } from "../../core/restore-plan.ts";
import { runEvents } from "../../core/run-events.ts";
import type { RestoreIn } from "../../core/run-transitions.ts";
import { reopenCleanUp, withCleanUpAt } from "../../core/run-transitions.ts";
import type { RestoreRun, Run } from "../../core/run.ts";
import { addMs, epochMs, timestamp } from "../../core/timestamp.ts";
import type { TakenBack } from "../../ports/machine-target.ts";
import { longestDelayMs } from "../../ports/task-queue.ts";
import type { Context } from "../context.ts";
import { changeRun } from "../run/change-run.ts";
import { recordEvent } from "../run/record-event.ts";
import { askedDelayMs } from "../run/postpone.ts";
import { machineToTakeBack } from "./machine-restore.ts";
import { accessGraceMs } from "./access-grace.ts";

type Unsuccessful = RestoreIn<"failed" | "cancelled">;

/** `later`: the row says when to ask again. */
export type CleanedUp = "done" | "later";

export async function takeBackMachine(context: Context, run: Unsuccessful, signal: AbortSignal): Promise<CleanedUp> {
  const taken = await tryTakeBack(context, run, signal);
  if (taken.kind === "gone") {
    if (taken.left.length > 0) await tellOfLeft(context, run, taken.left, signal);
    return "done";
  }
  const lookAt = addMs(timestamp(context.clock.now()), Math.min(Math.max(taken.retryAfterMs, 0), longestDelayMs));
  const later = (now: Run) =>
    isUnsuccessful(now) && now.cleanUp === "pending" ? withCleanUpAt(now, lookAt) : undefined;
  await changeRun(context, run.runId, later, signal);
  return "later";
}

/** A step came back after the run's end, and may have made something since: it is looked for again. */
export async function reopenTakeBack(context: Context, run: RestoreRun, signal: AbortSignal): Promise<void> {
  const reopen = (now: Run) => (isUnsuccessful(now) ? reopenCleanUp(now) : undefined);
  await changeRun(context, run.runId, reopen, signal);
}

/** Looks whether a step that came back and died has made something after the clean-up. */
export async function takeBackAgain(context: Context, run: RestoreRun, signal: AbortSignal): Promise<void> {
  if (!isUnsuccessful(run)) return;
  const restore = await machineToTakeBack(await context.vault(signal), run, signal);
  const taken = await context.machines.takeBack(restore, signal);
  if (taken.kind === "waiting") await reopenTakeBack(context, run, signal);
}

function isUnsuccessful(run: Run): run is Unsuccessful {
  return run.kind === "restore" && (run.state === "failed" || run.state === "cancelled");
}

async function tryTakeBack(context: Context, run: Unsuccessful, signal: AbortSignal): Promise<TakenBack> {
  const elapsedMs = context.clock.now() - epochMs(run.finishedAt);
  try {
    const restore = await machineToTakeBack(await context.vault(signal), run, signal);
    const taken = await context.machines.takeBack(restore, signal);
    if (taken.kind === "gone" || elapsedMs < longestRestoreMs) return taken;
    return {
      kind: "gone",
      left: [`The platform did not come to its end with it in ${longestRestoreMs / 86_400_000} days.`],
    };
  } catch (error) {
    const retryAfterMs = askedDelayMs(error);
    if (retryAfterMs !== undefined && elapsedMs < longestRestoreMs) return { kind: "waiting", retryAfterMs };
    if (!(error instanceof FarsideError)) throw error;
    const graceMs = error.advice === "retry" ? longestRestoreMs : hasCode(error, "forbidden") ? accessGraceMs : 0;
    if (elapsedMs < graceMs) throw error;
    return { kind: "gone", left: [error.message] };
  }
}

async function tellOfLeft(
  context: Context,
  run: Unsuccessful,
  left: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  const { runId, finishedAt: at } = run;
  const message = `The clean-up of these is left to you. ${left.join(" ")}`;
  const fields = { disks: run.disks.map(({ name }) => name).join(", ") };
  await recordEvent(context, { runId, at, name: runEvents.targetLeft, message, level: "error", fields }, signal);
}
