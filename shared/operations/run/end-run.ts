/** Ends a run that will not succeed: first the row, then its traces. */
import type { ErrorRecord } from "../../core/errors.ts";
import { FarsideError, errorRecord } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { ActiveRun } from "../../core/run-transitions.ts";
import { endRun as ended, isActive } from "../../core/run-transitions.ts";
import type { Run } from "../../core/run.ts";
import type { Context } from "../context.ts";
import type { StepOutcome } from "../step-outcome.ts";
import { changeRun } from "./change-run.ts";
import { tryCleanUp } from "./clean-up-run.ts";

export interface RunEnd {
  readonly state: "failed" | "cancelled";
  readonly error: ErrorRecord;
}

export const cancelledByRequest: RunEnd = {
  state: "cancelled",
  error: { code: "cancelled", message: "The run was cancelled on request." },
};

/** `mine`: whether the run is still in the state that its caller speaks for. Ended runs are never ended again. */
export async function endRun(
  context: Context,
  runId: RunId,
  end: RunEnd,
  mine: (run: ActiveRun) => boolean,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const decide = (run: Run) =>
    isActive(run) && mine(run) ? ended(run, end.state, end.error, context.clock.now()) : undefined;
  const changed = await changeRun(context, runId, decide, signal);
  if (changed.kind === "refused") return { kind: "late", reason: `the run is ${changed.run?.state ?? "unknown"}` };
  await tryCleanUp(context, changed.stored.value, signal);
  return { kind: "ended", state: end.state };
}

/**
 * Does a step's work. An error that repeating cannot mend ends the run with that error; everything else is thrown, for the queue to
 * deliver the message again.
 */
export async function endingOnFinalErrors(
  context: Context,
  runId: RunId,
  mine: (run: ActiveRun) => boolean,
  signal: AbortSignal,
  work: () => Promise<StepOutcome>,
): Promise<StepOutcome> {
  try {
    return await work();
  } catch (error) {
    if (!isFinal(error)) throw error;
    return endRun(context, runId, { state: "failed", error: errorRecord(error) }, mine, signal);
  }
}

function isFinal(error: unknown): boolean {
  return error instanceof FarsideError && error.advice !== "retry";
}
