/**
 * Starts a VM that a backup has stopped, and watches until it runs: after its snapshots, and whatever becomes of the run.
 *
 * 1. The row keeps the halt from before the VM was asked to stop until it has been seen running. The attempt asks for the start the
 *    moment that the disks' instant is fixed; whoever ends or takes back the attempt asks; the reconciler looks, and asks again, for ever.
 * 2. What the platform shows decides, not what was asked for: two that look at once do no harm, and a request that was lost is made again.
 * 3. A request to stop may have been sent by a process that was given up: a VM that runs is watched until none can arrive any more.
 */
import { haltLookMs, isDue, isInDoubt, isOverdue, mayStart } from "../../core/downtime.ts";
import { FarsideError, hasCode } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import { retryDelayMs } from "../../core/preflight.ts";
import { runEvents } from "../../core/run-events.ts";
import { haltOf, withHaltNow, withoutHalt } from "../../core/run-transitions.ts";
import type { Halt, Run } from "../../core/run.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { addMs, msBetween, timestamp } from "../../core/timestamp.ts";
import type { VmSource } from "../../core/vm.ts";
import type { MachinePower } from "../../ports/machine-power.ts";
import { fraction } from "../../ports/random.ts";
import type { Context } from "../context.ts";
import { changeRun } from "./change-run.ts";
import { recordEvent } from "./record-event.ts";

type Seen =
  | { readonly kind: "running" }
  | { readonly kind: "gone" }
  | { readonly kind: "awaited"; readonly halt: Halt; readonly failed?: FarsideError };

/** One step: `running` where nothing is left to do. Throws only what the catalog throws. */
export async function startAgain(context: Context, runId: RunId, signal: AbortSignal): Promise<"running" | "awaited"> {
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run?.kind !== "backup" || run.halt === undefined) return "running";
  const { halt } = run;
  if (!mayStart(run, halt) || !isDue(halt, context.clock.now())) return "awaited";
  const seen = await look(context, halt, signal);
  const now = timestamp(context.clock.now());
  const changed = await changeRun(
    context,
    runId,
    (row) => (row.kind === "backup" && isSame(row, halt) ? next(row, seen, now) : undefined),
    signal,
  );
  if (changed.kind === "refused") {
    return changed.run === undefined || haltOf(changed.run) === undefined ? "running" : "awaited";
  }
  await tell(context, runId, { before: halt, seen, now }, signal);
  return seen.kind === "awaited" ? "awaited" : "running";
}

/** What fails here is left to the reconciler. */
export async function tryStartAgain(
  context: Context,
  runId: RunId,
  signal: AbortSignal,
): Promise<"running" | "awaited"> {
  try {
    return await startAgain(context, runId, signal);
  } catch (error) {
    context.log.log("warning", "start-left", { runId, error: String(error) });
    return "awaited";
  }
}

export function powerOf(context: Context, source: VmSource): MachinePower {
  const { power } = context.source(source.kind);
  if (power !== undefined) return power;
  throw new FarsideError("internal", `A source of the kind ${source.kind} cannot stop or start a VM.`);
}

function next(row: Extract<Run, { kind: "backup" }>, seen: Seen, now: Timestamp) {
  switch (seen.kind) {
    case "running":
      return withoutHalt(row, now);
    case "gone":
      return withoutHalt(row, undefined);
    case "awaited":
      return withHaltNow(row, seen.halt);
    default:
      return seen satisfies never;
  }
}

async function look(context: Context, halt: Halt, signal: AbortSignal): Promise<Seen> {
  const now = context.clock.now();
  try {
    return await lookAtMachine(powerOf(context, halt.source), halt, now, signal);
  } catch (error) {
    if (!(error instanceof FarsideError)) throw error;
    const { operation: _, ...rest } = halt;
    const delayMs = Math.max(retryDelayMs(halt.failedStarts, fraction(context.random)), error.retryAfterMs ?? 0);
    const lookAt = timestamp(context.clock.now() + delayMs);
    return { kind: "awaited", halt: { ...rest, failedStarts: halt.failedStarts + 1, lookAt }, failed: error };
  }
}

async function lookAtMachine(power: MachinePower, halt: Halt, now: number, signal: AbortSignal): Promise<Seen> {
  const { source } = halt;
  const { operation, ...rest } = halt;
  const lookAt = timestamp(now + haltLookMs);
  if (operation !== undefined) {
    const step = await power.look(source, operation, signal);
    if (step.kind === "waiting") {
      if (isOverdue(halt.startAskedAt ?? halt.requestedAt, now)) {
        throw new FarsideError("deadline-passed", `The start that was asked for at ${halt.startAskedAt} does not end.`);
      }
      return { kind: "awaited", halt: { ...halt, operation: step.operation, lookAt } };
    }
  }
  const phase = await stateOf(power, source, signal);
  if (phase === "gone") return { kind: "gone" };
  if (typeof phase === "object") {
    return { kind: "awaited", halt: { ...rest, lookAt: addMs(lookAt, phase.unseenForMs) } };
  }
  if (phase === "running") {
    return isInDoubt(halt, now)
      ? { kind: "awaited", halt: { ...rest, lookAt: addMs(lookAt, haltLookMs) } }
      : { kind: "running" };
  }
  const isMoving = phase === "stopping" || phase === "starting";
  if (isMoving && !isOverdue(halt.startAskedAt ?? halt.requestedAt, now)) {
    return { kind: "awaited", halt: { ...rest, lookAt } };
  }
  const step = await power.start(source, signal);
  // It lies still, so that the one stop that was asked for has arrived.
  const { doubtUntil, ...certain } = rest;
  const known = isMoving && doubtUntil !== undefined ? { ...certain, doubtUntil } : certain;
  const asked = step.kind === "waiting" ? { operation: step.operation } : {};
  return { kind: "awaited", halt: { ...known, ...asked, startAskedAt: timestamp(now), lookAt } };
}

async function stateOf(power: MachinePower, source: VmSource, signal: AbortSignal) {
  try {
    return await power.state(source, signal);
  } catch (error) {
    if (hasCode(error, "not-found")) return "gone";
    // It says nothing of the VM.
    if (hasCode(error, "unavailable", "throttled")) return { unseenForMs: error.retryAfterMs ?? 0 };
    throw error;
  }
}

/** Nobody has looked in between. */
function isSame(row: Run, { token, lookAt, operation, failedStarts }: Halt): boolean {
  const halt = haltOf(row);
  return (
    halt?.token === token &&
    halt.lookAt === lookAt &&
    halt.operation === operation &&
    halt.failedStarts === failedStarts
  );
}

async function tell(
  context: Context,
  runId: RunId,
  { before, seen, now }: { readonly before: Halt; readonly seen: Seen; readonly now: Timestamp },
  signal: AbortSignal,
): Promise<void> {
  const downMs = msBetween(before.requestedAt, now);
  if (seen.kind === "running") {
    const message =
      before.startAskedAt === undefined
        ? "The VM runs: it did not stop, or somebody else has started it."
        : `The VM runs again: it was down for ${Math.round(downMs / 1000)} s at most.`;
    return recordEvent(context, { runId, name: runEvents.running, message, fields: { downMs } }, signal);
  }
  if (seen.kind === "gone") {
    const message = "The VM that was stopped for its snapshots is gone: it cannot be started.";
    return recordEvent(context, { runId, name: runEvents.leftStopped, message, level: "error" }, signal);
  }
  const { failed, halt } = seen;
  if (failed !== undefined) {
    const inS = Math.round(msBetween(now, halt.lookAt) / 1000);
    const message = `The VM was stopped at ${before.requestedAt} and could not be started again: ${failed.message} Tried again in ${inS} s, until it works. To give it up: "farside run cancel ${runId}", once the run has ended.`;
    const fields = { code: failed.code, failedStarts: halt.failedStarts, downMs };
    return recordEvent(context, { runId, name: runEvents.startFailed, message, level: "error", fields }, signal);
  }
  if (halt.startAskedAt === before.startAskedAt) return;
  const message = `The VM was asked to start, ${Math.round(downMs / 1000)} s after it had been asked to stop.`;
  await recordEvent(context, { runId, name: runEvents.startAsked, message, fields: { downMs } }, signal);
}
