/**
 * Cancels a run. One that waits or copies ends here and now; one whose owner is in the middle of something that must not be torn apart
 * (a frozen guest, a commit, targets being made) is asked, and ends at its next step. A commit that has begun may still succeed. A restore
 * that waits for the platform has no owner between two looks.
 */
import { FarsideError } from "../core/errors.ts";
import type { RunId } from "../core/ids.ts";
import { runEvents } from "../core/run-events.ts";
import type { ActiveRun } from "../core/run-transitions.ts";
import { isActive, requestCancel } from "../core/run-transitions.ts";
import type { Run } from "../core/run.ts";
import type { Context } from "./context.ts";
import { changeRun } from "./run/change-run.ts";
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
    if (asked.run !== undefined) return { kind: "ended", run: asked.run };
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

function mayEndNow(context: Context, run: ActiveRun): boolean {
  if (run.state === "preparing" || run.state === "finishing")
    return run.pending !== undefined && !isOwned(context, run);
  return run.state === "queued" || run.state === "copying";
}
