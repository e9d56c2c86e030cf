/**
 * Timer tick: a run and a message for each VM whose policy's schedule has had a slot since the last tick.
 *
 * 1. The insert of the run decides: ids come from VM and slot, so that two ticks, at once or after each other, make one run.
 * 2. Of several missed slots only the last is caught up, once.
 * 3. The cursor is moved last: a tick that dies is done again from the same place.
 */
import type { Policy } from "../core/policy.ts";
import { runEvents } from "../core/run-events.ts";
import type { BackupRun } from "../core/run.ts";
import { jitterMs, openSince, scheduledRunId, startDelayMs } from "../core/schedule-slots.ts";
import type { Timestamp } from "../core/timestamp.ts";
import { addMs, epochMs, timestamp } from "../core/timestamp.ts";
import type { ProtectedVm } from "../core/vm.ts";
import type { ScheduleCursor, Stored } from "../ports/catalog.ts";
import { longestDelayMs } from "../ports/task-queue.ts";
import type { Context } from "./context.ts";
import { listAll } from "./list-all.ts";
import { recordEvent } from "./run/record-event.ts";

/** What one tick did; safe to run twice or at once. */
export interface ScheduleOutcome {
  /** Policies whose schedule had a slot since the last tick. */
  readonly policiesDue: number;
  readonly runsStarted: number;
  /** Runs of these slots that existed already (another tick was here); still queued ones were sent again. */
  readonly runsRepeated: number;
}

export async function scheduleBackups(
  context: Context,
  _input: Readonly<Record<string, never>>,
  signal: AbortSignal,
): Promise<ScheduleOutcome> {
  const counts = { policiesDue: 0, runsStarted: 0, runsRepeated: 0 };
  let failure: { readonly error: unknown } | undefined;
  for await (const { value: policy } of listAll(context.catalog.policies, {}, signal)) {
    try {
      await schedulePolicy(context, policy, counts, signal);
    } catch (error) {
      // One policy that cannot be read or sent must not keep the others waiting.
      failure ??= { error };
      context.log.log("error", "policy-not-scheduled", { policy: policy.name, error: String(error) });
    }
  }
  if (failure !== undefined) throw failure.error;
  return counts;
}

async function schedulePolicy(
  context: Context,
  policy: Policy,
  counts: { policiesDue: number; runsStarted: number; runsRepeated: number },
  signal: AbortSignal,
): Promise<void> {
  const { schedule } = policy;
  if (schedule === undefined) return;
  const now = context.clock.now();
  const cursor = await context.catalog.scheduleCursors.get(policy.name, signal);
  const since = openSince(policy, cursor?.value.slot, now);
  const slot = context.calendar.lastBetween(schedule, since, timestamp(now));
  if (slot === undefined) return;
  counts.policiesDue++;
  for await (const { value: vm } of listAll(context.catalog.vms, { policy: policy.name }, signal)) {
    // A VM that was protected after the slot was not due at it.
    if (vm.protectedAt > slot) continue;
    const run = runOfSlot(policy, vm, slot, jitterMs(vm.vmId, schedule.jitterSeconds), now);
    const inserted = await context.catalog.runs.insert(run, signal);
    const current = inserted === "exists" ? (await context.catalog.runs.get(run.runId, signal))?.value : run;
    counts[inserted === "exists" ? "runsRepeated" : "runsStarted"]++;
    // Another tick may have died between row and message; a run too many that is looked at costs little.
    if (current?.state !== "queued" || current.kind !== "backup" || current.attempt > 0) continue;
    const delayMs = Math.min(startDelayMs(slot, jitterMs(vm.vmId, schedule.jitterSeconds), now), longestDelayMs);
    await context.tasks.send({ kind: "start-backup", runId: run.runId }, delayMs, signal);
    if (inserted === "exists") continue;
    const message = `The schedule of policy ${policy.name} asked for a backup at ${slot}.`;
    const facts = { runId: run.runId, at: run.createdAt, name: runEvents.requested, message, fields: { vm: vm.name } };
    await recordEvent(context, facts, signal);
  }
  await moveCursor(context, cursor, { policy: policy.name, slot }, signal);
}

function runOfSlot(policy: Policy, vm: ProtectedVm, slot: Timestamp, offsetMs: number, now: number): BackupRun {
  const notBefore = addMs(slot, offsetMs);
  const begin = Math.max(now, epochMs(notBefore));
  return {
    kind: "backup",
    runId: scheduledRunId(vm.vmId, slot),
    vm: vm.name,
    vmId: vm.vmId,
    createdAt: timestamp(now),
    trigger: { kind: "schedule", policy: policy.name, slot },
    policy: policy.name,
    wanted: policy.consistency.wanted,
    least: policy.consistency.least,
    retryUntil: timestamp(begin + policy.retryWindowSeconds * 1000),
    attempt: 0,
    state: "queued",
    notBefore,
  };
}

/** Where another tick has moved it, it stands as well as ours would. */
async function moveCursor(
  context: Context,
  cursor: Stored<ScheduleCursor> | undefined,
  next: ScheduleCursor,
  signal: AbortSignal,
): Promise<void> {
  const { scheduleCursors } = context.catalog;
  if (cursor === undefined) await scheduleCursors.insert(next, signal);
  else if (cursor.value.slot !== next.slot) await scheduleCursors.replace(cursor, next, signal);
}
