import { FarsideError } from "../../core/errors.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import type { Context } from "../context.ts";
import { thawOf } from "../run/clean-up-run.ts";
import { recordEvent } from "../run/record-event.ts";
import type { StepOutcome } from "../step-outcome.ts";
import { putBackRun } from "./put-back.ts";

/**
 * Takes the run back from an attempt whose lease is over: its owner has died, or stands still. The guest first: if the owner is
 * alive after all, it finds the guest thawed, or its row changed, and gives up.
 */
export async function recoverAttempt(
  context: Context,
  run: BackupIn<"snapshotting">,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId, attempt, freeze } = run;
  if (freeze !== undefined) await thawOf(context, freeze, signal);
  const message = `Attempt ${attempt} gave no sign until its lease was over.`;
  await recordEvent(
    context,
    { runId, at: run.leaseUntil, name: runEvents.attemptLost, message, level: "warning", fields: { attempt } },
    signal,
  );
  const error = new FarsideError("deadline-passed", message, { details: { runId, attempt } });
  return putBackRun(context, run, { kind: "error", error }, signal);
}
