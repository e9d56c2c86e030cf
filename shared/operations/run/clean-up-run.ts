/**
 * Removes the traces of an ended run: a frozen guest, the claim on its VM, snapshots, unfinished targets, work blobs. Each part may
 * run twice; the row says `done` only after all of them, and the reconciler goes on where a death left some.
 */
import { FarsideError, hasCode } from "../../core/errors.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn, EndedRun } from "../../core/run-transitions.ts";
import { cleanedUp, isActive } from "../../core/run-transitions.ts";
import type { Freeze } from "../../core/run.ts";
import { clockToleranceMs } from "../../core/schedule-slots.ts";
import { epochMs } from "../../core/timestamp.ts";
import type { Context } from "../context.ts";
import { cleanUpTargets } from "../restore/targets.ts";
import { deleteWork } from "../vault/work-blobs.ts";
import { changeRun } from "./change-run.ts";
import { releaseVm } from "./claim-vm.ts";
import { recordEvent } from "./record-event.ts";
import { removeSnapshots } from "./remove-snapshots.ts";

/** `later`: the platform takes its time, and the row says when to go on. What fails is left to the reconciler: the run has ended all the same. */
export async function tryCleanUp(
  context: Context,
  run: EndedRun,
  signal: AbortSignal,
): Promise<"done" | "later" | "failed"> {
  try {
    return await cleanUpRun(context, run, signal);
  } catch (error) {
    context.log.log("warning", "clean-up-left", { runId: run.runId, error: String(error) });
    return "failed";
  }
}

async function cleanUpRun(context: Context, run: EndedRun, signal: AbortSignal): Promise<"done" | "later"> {
  // Here and not beside the change of state: with the row's own instant it is one event, however often this runs.
  await recordEnd(context, run, signal);
  // First, for a server stands still meanwhile; but a guest that does not answer keeps nothing else from being removed.
  const frozen = run.kind === "backup" ? await tryThaw(context, run.freeze, signal) : undefined;
  if (run.kind === "backup") await cleanUpBackup(context, run, signal);
  else if ((await cleanUpTargets(context, run, signal)) === "later") return "later";
  await deleteWork(await context.vault(signal), run.runId, signal);
  if (frozen !== undefined) throw frozen.error;
  await changeRun(
    context,
    run.runId,
    (now) => (isActive(now) || now.cleanUp === "done" ? undefined : cleanedUp(now)),
    signal,
  );
  return "done";
}

/** Why the guest may still be frozen, where it may. */
async function tryThaw(
  context: Context,
  freeze: Freeze | undefined,
  signal: AbortSignal,
): Promise<{ readonly error: unknown } | undefined> {
  if (freeze === undefined) return undefined;
  try {
    await thawOf(context, freeze, signal);
    return undefined;
  } catch (error) {
    return { error };
  }
}

async function cleanUpBackup(
  context: Context,
  run: BackupIn<"succeeded" | "failed" | "cancelled">,
  signal: AbortSignal,
): Promise<void> {
  await releaseVm(context, run.vmId, run.runId, signal);
  await removeSnapshots(context, run, signal);
}

/** How much longer than its own time limit a guest that does not answer is asked again: not every guest keeps its limit. */
const thawGraceMs = 10 * 60_000;

/** Thaws what an attempt may have left frozen. Throws while the guest does not answer and may still be frozen. */
export async function thawOf(context: Context, freeze: Freeze, signal: AbortSignal): Promise<void> {
  try {
    await context.guest.thaw(freeze.guestUrl, freeze.token, signal);
  } catch (error) {
    if (!(error instanceof FarsideError)) throw error;
    const elapsedMs = context.clock.now() - epochMs(freeze.requestedAt);
    // An instant ahead of us was written by a clock that was: as far as anybody can tell, its time is over.
    const passed = elapsedMs > freeze.ttlSeconds * 1000 + thawGraceMs || elapsedMs < -clockToleranceMs;
    if (!passed && hasCode(error, "guest-failed", "unavailable", "throttled")) throw error;
  }
}

async function recordEnd(context: Context, run: EndedRun, signal: AbortSignal): Promise<void> {
  const { runId, finishedAt: at, vm } = run;
  const facts = { runId, at, fields: { vm } };
  switch (run.state) {
    case "succeeded":
      return recordEvent(context, { ...facts, name: runEvents.succeeded, message: "The run succeeded." }, signal);
    case "failed":
      return recordEvent(
        context,
        {
          ...facts,
          name: runEvents.failed,
          message: run.error.message,
          level: "error",
          fields: { vm, code: run.error.code },
        },
        signal,
      );
    case "cancelled":
      return recordEvent(context, { ...facts, name: runEvents.cancelled, message: run.error.message }, signal);
    default:
      return run satisfies never;
  }
}
