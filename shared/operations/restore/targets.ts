/**
 * What the steps of a restore do with its targets as a whole, for each kind: page blobs in a container, the VM's own disks, or what the
 * platform makes. Every part may run twice, at once, or stop anywhere.
 */
import { FarsideError } from "../../core/errors.ts";
import { runEvents } from "../../core/run-events.ts";
import type { RestoreIn } from "../../core/run-transitions.ts";
import type { RestoreDisk, RestoreRun, SafetySnapshot } from "../../core/run.ts";
import { epochMs } from "../../core/timestamp.ts";
import { isMachineTarget, ownsVm } from "../../core/run.ts";
import type { ManifestDisk } from "../../core/vault/manifest.ts";
import type { Context } from "../context.ts";
import { settleReverts } from "./half-reverts.ts";
import { releaseVm } from "../run/claim-vm.ts";
import { recordEvent } from "../run/record-event.ts";
import { accessGraceMs } from "./access-grace.ts";
import { leaveReverted, prepareRevert } from "./revert-disks.ts";
import { reopenTakeBack, takeBackMachine, type CleanedUp } from "./take-back-machine.ts";
import { isStillActive } from "../run/still-active.ts";

type Ended = RestoreIn<"succeeded" | "failed" | "cancelled">;

export interface PreparedTargets {
  readonly disks: readonly RestoreDisk[];
  readonly safety?: readonly SafetySnapshot[];
}

/** Before the first byte is written. Undefined where the run has ended meanwhile: what was made ready is to be left then. */
export async function prepareTargets(
  context: Context,
  run: RestoreIn<"queued" | "preparing">,
  sources: readonly ManifestDisk[],
  signal: AbortSignal,
): Promise<PreparedTargets | undefined> {
  const { runId, target } = run;
  if (target.kind === "revert") {
    const safety = await prepareRevert(context, run, sources, signal);
    return safety && { disks: run.disks, safety };
  }
  if (target.kind !== "container") throw new FarsideError("internal", "The platform makes these targets.");
  const disks: RestoreDisk[] = [];
  for (const disk of run.disks) {
    if (!(await isStillActive(context, runId, signal))) return undefined;
    if (target.overwrite === true) {
      const kept = await context.target.replace(disk, runId, signal);
      disks.push(kept === undefined ? disk : { ...disk, kept });
    } else {
      await context.target.prepare(disk, runId, signal);
      disks.push(disk);
    }
  }
  return { disks };
}

/** What a late delivery has made ready for a run that had ended by then: nobody else would take it away. */
export async function leaveTargets(context: Context, run: RestoreRun, signal: AbortSignal): Promise<void> {
  if (isMachineTarget(run.target)) return reopenTakeBack(context, run, signal);
  if (run.target.kind === "revert") {
    for (const disk of run.disks) await leaveReverted(context, run, disk, signal);
    return;
  }
  for (const disk of run.disks) await context.target.discard(disk, run.runId, signal);
}

/** Removes what an ended run left at its targets, or puts back what stood there. `later`: the row says when to go on. */
export async function cleanUpTargets(context: Context, run: Ended, signal: AbortSignal): Promise<CleanedUp> {
  if (!isMachineTarget(run.target)) await cleanUpDisks(context, run, signal);
  else if (run.state !== "succeeded" && (await takeBackMachine(context, run, signal)) === "later") return "later";
  if (ownsVm(run.target)) {
    await settleReverts(context, run, signal);
    await releaseVm(context, run.vmId, run.runId, signal);
  }
  return "done";
}

async function cleanUpDisks(context: Context, run: Ended, signal: AbortSignal): Promise<void> {
  const left: { readonly disk: RestoreDisk; readonly error: FarsideError }[] = [];
  for (const disk of run.disks) {
    try {
      await cleanUpTarget(context, run, disk, signal);
    } catch (error) {
      if (!(error instanceof FarsideError) || error.advice === "retry") throw error;
      const elapsedMs = context.clock.now() - epochMs(run.finishedAt);
      if (error.code === "forbidden" && elapsedMs < accessGraceMs) throw error;
      left.push({ disk, error });
    }
  }
  if (left.length > 0) await tellOfLeft(context, run, left, signal);
}

/** One event for all disks: a run has one of a name at one instant, and this is recorded again where the clean-up is repeated. */
async function tellOfLeft(
  context: Context,
  run: Ended,
  left: readonly { readonly disk: RestoreDisk; readonly error: FarsideError }[],
  signal: AbortSignal,
): Promise<void> {
  const { runId, finishedAt: at } = run;
  const told = left.map(({ disk, error }) => `${disk.name}: ${error.message}`).join(" ");
  const message = `The clean-up of these is left to you. ${told}`;
  const fields = { disks: left.map(({ disk }) => disk.name).join(", ") };
  await recordEvent(context, { runId, at, name: runEvents.targetLeft, message, level: "error", fields }, signal);
}

async function cleanUpTarget(context: Context, run: Ended, disk: RestoreDisk, signal: AbortSignal): Promise<void> {
  const { runId, target } = run;
  if (target.kind === "revert") return leaveReverted(context, run, disk, signal);
  if (run.state !== "succeeded") return context.target.takeBack(disk, runId, signal);
  if (target.kind === "container" && target.overwrite === true) await context.target.release(disk, runId, signal);
}
