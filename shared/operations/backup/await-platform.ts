/**
 * Snapshots that the platform makes in its own time: the function ends, the row keeps what is needed to look again, and a delayed
 * message comes back for it (docs/azure.md, "Waiting").
 */
import { FarsideError } from "../../core/errors.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { withPending } from "../../core/run-transitions.ts";
import type { PendingSnapshots } from "../../core/run.ts";
import { addMs, timestamp } from "../../core/timestamp.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { DiskSource, SnapshotAttempt, SnapshotOutcome } from "../../ports/disk-source.ts";
import { longestDelayMs } from "../../ports/task-queue.ts";
import type { Context } from "../context.ts";
import { changeRun } from "../run/change-run.ts";
import { recordEvent } from "../run/record-event.ts";
import { freezePlan } from "./freeze-plan.ts";
import { isSnapshotting, type FreezePlan } from "./freeze.ts";
import { readSettings } from "./read-settings.ts";
import { recordSet, type Found, type TakenSnapshots } from "./record-set.ts";
import type { Taken } from "./take-snapshots.ts";

export type Waits = Extract<SnapshotOutcome, { kind: "waiting" }>;
type Snapshots = Extract<SnapshotOutcome, { kind: "taken" }>;
type Unfrozen = Exclude<FreezePlan, { kind: "freeze" }>;

/** A platform is asked for more than `crash` only where it brings the disks to rest by itself. */
export function attemptOf(run: BackupIn<"snapshotting">, plan: FreezePlan): SnapshotAttempt {
  const { runId, attemptId } = run;
  return { runId, attemptId, wanted: plan.kind === "platform" ? run.wanted : "crash" };
}

export async function awaitPlatform(
  context: Context,
  run: BackupIn<"snapshotting">,
  found: Found & Pick<PendingSnapshots, "stage">,
  waits: Pick<Waits, "operation" | "retryAfterMs">,
  signal: AbortSignal,
): Promise<Taken> {
  const now = context.clock.now();
  const retryAfterMs = Math.min(waits.retryAfterMs, longestDelayMs);
  const pending = { ...found, operation: waits.operation, lookAt: addMs(timestamp(now), retryAfterMs) };
  const changed = await changeRun(
    context,
    run.runId,
    (row) => (isSnapshotting(row, run.attemptId) ? withPending(row, pending, now) : undefined),
    signal,
  );
  if (changed.kind === "refused") return { kind: "lost" };
  const begins = run.pending === undefined || run.pending.stage !== undefined;
  if (begins && found.stage === undefined) {
    const message = "The platform makes the snapshots; the run comes back for them.";
    await recordEvent(context, { runId: run.runId, name: runEvents.snapshotsBegun, message }, signal);
  }
  return { kind: "waiting", retryAfterMs };
}

/** Looks again. Throws what makes the attempt fail. */
export async function continueSnapshots(
  context: Context,
  run: BackupIn<"snapshotting">,
  signal: AbortSignal,
): Promise<Taken> {
  const { pending } = run;
  if (pending === undefined) throw new FarsideError("internal", `The run ${run.runId} waits for no snapshots.`);
  const { vm, policy } = await readSettings(context, run, signal);
  const source = context.source(vm.source.kind);
  const plan = await freezePlan(context, run, { vm, source, powerState: pending.powerState }, signal);
  if (plan.kind === "freeze")
    throw new FarsideError("not-ready", "The VM's source was changed while it was backed up.");
  const { operation, lookAt: _, stage: _stage, ...found } = pending;
  const outcome = await source.continueSnapshot(vm, operation, attemptOf(run, plan), signal);
  if (outcome.kind === "waiting") return awaitPlatform(context, run, found, outcome, signal);
  const taken = await unfrozen(run, { vm, source, plan }, outcome, signal);
  return recordSet(context, run, { vm, policy }, found, taken, signal);
}

/** What is known of snapshots that were taken without asking a guest. */
export async function unfrozen(
  run: BackupIn<"snapshotting">,
  scene: { readonly vm: ProtectedVm; readonly source: DiskSource; readonly plan: Unfrozen },
  { snapshots, consistency }: Snapshots,
  signal: AbortSignal,
): Promise<TakenSnapshots> {
  const { vm, source, plan } = scene;
  if (plan.kind === "platform")
    return { snapshots, facts: { kind: "platform", ...(consistency ?? { level: "crash" }) } };
  const note = consistency?.note === undefined ? {} : { note: consistency.note };
  const started = plan.reason === "stopped" && (await source.inspect(vm, signal)).powerState !== "stopped";
  const left = run.freeze === undefined ? {} : { notThawed: run.freeze };
  return { snapshots, facts: started ? { kind: "none", reason: "stopped-then-started" } : plan, ...note, ...left };
}
