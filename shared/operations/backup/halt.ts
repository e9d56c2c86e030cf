/**
 * `shutdown` mode: a VM that runs is stopped, its disks are snapshotted, and it is started again (docs/azure.md, "Shutdown mode").
 *
 * 1. The row names the VM before it is asked to stop: whoever finds the row starts it, if we cannot (run/start-again.ts).
 * 2. It stands still no longer than stopping and snapshots take: the start is asked for before anything else is done with them, and what
 *    does not end in time is given up.
 * 3. Whether it lay still is looked at after the disks' instant is fixed and written down before the start is asked for: afterwards nobody can tell.
 */
import { mostStops } from "../../core/attempt-failure.ts";
import { haltLeaseMs, haltLookMs, isOverdue, longestHaltLookMs, stopDoubtMs } from "../../core/downtime.ts";
import { FarsideError } from "../../core/errors.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { withHalt, withRest } from "../../core/run-transitions.ts";
import type { Halt } from "../../core/run.ts";
import { addMs, timestamp } from "../../core/timestamp.ts";
import type { VmSource } from "../../core/vm.ts";
import type { SnapshotOutcome, VmInspection } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { changeRun } from "../run/change-run.ts";
import { recordEvent } from "../run/record-event.ts";
import { powerOf, tryStartAgain } from "../run/start-again.ts";
import { awaitPlatform } from "./await-platform.ts";
import { isSnapshotting } from "./freeze.ts";
import { readSettings } from "./read-settings.ts";
import { checkLeast, judgeSafety, recordSet, type Found, type Settings } from "./record-set.ts";
import type { Taken } from "./take-snapshots.ts";

/** Begins. What can be known to fail fails before the VM is touched. */
export async function stopForSnapshots(
  context: Context,
  run: BackupIn<"snapshotting">,
  settings: Settings,
  found: Found,
  inspection: VmInspection,
  signal: AbortSignal,
): Promise<Taken> {
  const { vm } = settings;
  const { runId, attemptId } = run;
  // Where conditions, and not errors, stood in the way each time: the rule of core/attempt-failure.ts makes an end of it.
  if ((run.stops ?? 0) >= mostStops) throw new FarsideError("snapshot-failed", "Its snapshots could not be taken.");
  const { level } = checkLeast(run, { kind: "halted", atRest: true });
  await judgeSafety(context, run, settings, { powerState: "stopped", achieved: level }, signal);
  const power = powerOf(context, vm.source);
  const began = context.clock.monotonic();
  const now = timestamp(context.clock.now());
  const leaseUntil = addMs(now, haltLeaseMs);
  const halt: Halt = {
    source: vm.source,
    token: attemptId,
    requestedAt: now,
    doubtUntil: addMs(leaseUntil, stopDoubtMs),
    failedStarts: 0,
    lookAt: now,
  };
  const noted = await changeRun(
    context,
    runId,
    (row) => {
      if (!isSnapshotting(row, attemptId)) return undefined;
      if (row.cancelRequestedAt !== undefined) throw new FarsideError("conflict", "The run is to be cancelled.");
      return withHalt(row, halt, leaseUntil);
    },
    signal,
  );
  if (noted.kind === "refused") return { kind: "lost" };
  const costs = inspection.stopCosts ?? [];
  const message = `The VM is asked to stop for its snapshots. ${costs.join(" ")}`.trim();
  const facts = { runId, name: runEvents.stopAsked, message, at: now };
  await recordEvent(context, { ...facts, level: costs.length === 0 ? "info" : "warning" }, signal);
  // Who stood still until its time was over must not stop what somebody else has started meanwhile.
  if (context.clock.monotonic() - began > haltLeaseMs) return { kind: "lost" };
  const asked = await power.stop(vm.source, signal);
  if (asked.kind === "done") return snapshotHalted(context, noted.stored.value, settings, found, signal);
  return awaitPlatform(context, noted.stored.value, { ...found, stage: "stopping" }, asked, signal);
}

/** Looks again. Throws what makes the attempt fail: the VM is started then. */
export async function continueHalted(
  context: Context,
  run: BackupIn<"snapshotting">,
  signal: AbortSignal,
): Promise<Taken> {
  const { pending, runId, halt, rested } = run;
  if (pending === undefined) throw new FarsideError("internal", `The run ${runId} waits for nothing.`);
  const settings = await readSettings(context, run, signal);
  const { operation, lookAt: _, stage, ...found } = pending;
  if (rested === undefined && halt !== undefined && isOverdue(halt.requestedAt, context.clock.now())) {
    const what = stage === undefined ? "its snapshots were not made" : "it did not come to rest";
    throw new FarsideError("deadline-passed", `The VM was asked to stop at ${halt.requestedAt}, and ${what} in time.`, {
      details: { runId },
    });
  }
  const source = sourceOf(run);
  if (stage === "stopping") {
    const step = await powerOf(context, source).look(source, operation, signal);
    if (step.kind === "waiting") return awaitPlatform(context, run, { ...found, stage }, step, signal);
    return snapshotHalted(context, run, settings, found, signal);
  }
  const outcome = await context
    .source(source.kind)
    .continueSnapshot({ ...settings.vm, source }, operation, attemptOf(run), signal);
  return letGo(context, run, settings, found, outcome, signal);
}

async function snapshotHalted(
  context: Context,
  run: BackupIn<"snapshotting">,
  settings: Settings,
  found: Found,
  signal: AbortSignal,
): Promise<Taken> {
  const vm = { ...settings.vm, source: sourceOf(run) };
  const source = context.source(vm.source.kind);
  const inspection = await source.inspect(vm, signal);
  const [condition] = inspection.conditions;
  if (run.rested === undefined) {
    if (condition !== undefined) return { kind: "obstacle", obstacle: { kind: "condition", condition } };
    if (inspection.powerState !== "stopped") {
      throw new FarsideError("conflict", "Somebody started the VM again before its snapshots were asked for.");
    }
  }
  const outcome = await source.snapshot(vm, inspection.disks, attemptOf(run), signal);
  return letGo(context, run, settings, found, outcome, signal);
}

/** The VM goes first, as soon as it may; the snapshots can wait. */
async function letGo(
  context: Context,
  run: BackupIn<"snapshotting">,
  settings: Settings,
  found: Found,
  outcome: SnapshotOutcome,
  signal: AbortSignal,
): Promise<Taken> {
  let now = run;
  // Once fixed it stays so: a look without an answer says nothing of it.
  const isFixed = outcome.kind === "taken" || outcome.isFixed === true || run.rested !== undefined;
  if (isFixed && run.rested === undefined) {
    const source = sourceOf(run);
    const atRest = (await powerOf(context, source).state(source, signal)) === "stopped";
    const noted = await changeRun(
      context,
      run.runId,
      (row) => (isSnapshotting(row, run.attemptId) ? withRest(row, atRest) : undefined),
      signal,
    );
    if (noted.kind === "refused") return { kind: "lost" };
    now = noted.stored.value;
  }
  if (isFixed) await tryStartAgain(context, run.runId, signal);
  if (outcome.kind === "waiting") {
    if (!isFixed && outcome.retryAfterMs > longestHaltLookMs) {
      throw new FarsideError(
        "throttled",
        "The platform does not tell of the snapshots for longer than the VM may stand still.",
        {
          retryAfterMs: outcome.retryAfterMs,
        },
      );
    }
    const retryAfterMs = isFixed ? outcome.retryAfterMs : Math.min(outcome.retryAfterMs, haltLookMs);
    return awaitPlatform(context, now, found, { ...outcome, retryAfterMs }, signal);
  }
  const { note } = outcome.consistency ?? {};
  const facts = { kind: "halted", atRest: now.rested?.atRest === true } as const;
  const taken = { snapshots: outcome.snapshots, facts, ...(note === undefined ? {} : { note }) };
  return recordSet(context, now, settings, { ...found, powerState: "stopped" }, taken, signal);
}

/** Nothing is to be brought to rest any more. */
function attemptOf({ runId, attemptId }: BackupIn<"snapshotting">) {
  return { runId, attemptId, wanted: "crash", isHalted: true } as const;
}

/** Not what the settings say now decides: this VM was stopped. */
function sourceOf({ runId, halt, rested }: BackupIn<"snapshotting">): VmSource {
  const source = halt?.source ?? rested?.source;
  if (source !== undefined) return source;
  throw new FarsideError("internal", `The run ${runId} has stopped no VM.`);
}

export function isHalted({ halt, rested }: BackupIn<"snapshotting">): boolean {
  return halt !== undefined || rested !== undefined;
}
