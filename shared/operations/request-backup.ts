/**
 * A backup on demand.
 *
 * 1. The row first, then the claim on the VM, then the message: a row without a message is found by the reconciler, and a claim
 *    always names a run that exists.
 * 2. Of two requests at once one gets the VM; the other takes its row back and answers with the first one's id.
 */
import { FarsideError } from "../core/errors.ts";
import type { RunId, VmName } from "../core/ids.ts";
import { parseRunId, quote } from "../core/ids.ts";
import { runEvents } from "../core/run-events.ts";
import type { BackupRun } from "../core/run.ts";
import { timestamp } from "../core/timestamp.ts";
import { ulid } from "../core/ulid.ts";
import type { ProtectedVm } from "../core/vm.ts";
import type { Context } from "./context.ts";
import { activeRunOf, claimVm } from "./run/claim-vm.ts";
import { idempotentRun } from "./run/idempotent-run.ts";
import { recordEvent } from "./run/record-event.ts";

export interface BackupRequest {
  readonly vm: VmName;
  /** The same key for the same VM gives the same run. */
  readonly idempotencyKey?: string;
}

export interface BackupRequested {
  readonly kind: "started" | "repeated";
  readonly run: BackupRun;
}

/** Throws `not-found` for an unknown VM, `run-active` with `details.runId` while another run owns it. */
export async function requestBackup(
  context: Context,
  input: BackupRequest,
  signal: AbortSignal,
): Promise<BackupRequested> {
  const vm = (await context.catalog.vms.get(input.vm, signal))?.value;
  if (vm === undefined) {
    throw new FarsideError("not-found", `No VM ${quote(input.vm)} is protected.`, { details: { vm: input.vm } });
  }
  const request = { what: `backup|${vm.vmId}`, key: input.idempotencyKey };
  const before = await idempotentRun(context, request, undefined, signal);
  if (before?.run?.kind === "backup") return repeat(context, before.run, signal);

  const active = await activeRunOf(context, vm.vmId, signal);
  if (active !== undefined) throw runActive(vm, active);
  const fresh = before?.runId ?? parseRunId(ulid(context.clock.now(), context.random.bytes(10)));
  // Two requests with one key at once: whoever is noted first names the run for both.
  const runId = (await idempotentRun(context, request, fresh, signal))?.runId ?? fresh;
  const run = await newRun(context, vm, runId, signal);
  const inserted = await context.catalog.runs.insert(run, signal);
  const claim = await claimVm(context, { vmId: vm.vmId, runId, as: "backup" }, signal);
  if (claim.kind === "held") {
    if (inserted !== "exists") await context.catalog.runs.remove(runId, inserted, signal);
    throw runActive(vm, claim.by);
  }
  await context.tasks.send({ kind: "start-backup", runId }, 0, signal);
  const message = "A backup was requested.";
  const facts = { runId, at: run.createdAt, name: runEvents.requested, message, fields: { vm: vm.name } };
  await recordEvent(context, facts, signal);
  return { kind: inserted === "exists" ? "repeated" : "started", run };
}

/** The first request may have died before its message. */
async function repeat(context: Context, run: BackupRun, signal: AbortSignal): Promise<BackupRequested> {
  if (run.state === "queued" && run.attempt === 0) {
    await claimVm(context, { vmId: run.vmId, runId: run.runId, as: "backup" }, signal);
    await context.tasks.send({ kind: "start-backup", runId: run.runId }, 0, signal);
  }
  return { kind: "repeated", run };
}

async function newRun(context: Context, vm: ProtectedVm, runId: RunId, signal: AbortSignal): Promise<BackupRun> {
  const policy = (await context.catalog.policies.get(vm.policy, signal))?.value;
  if (policy === undefined) {
    throw new FarsideError(
      "not-found",
      `The policy ${quote(vm.policy)} of VM ${quote(vm.name)} is gone: set it again.`,
      {
        details: { vm: vm.name, policy: vm.policy },
      },
    );
  }
  const now = context.clock.now();
  return {
    kind: "backup",
    runId,
    vm: vm.name,
    vmId: vm.vmId,
    createdAt: timestamp(now),
    trigger: { kind: "on-demand" },
    policy: policy.name,
    wanted: policy.consistency.wanted,
    least: policy.consistency.least,
    retryUntil: timestamp(now + policy.retryWindowSeconds * 1000),
    attempt: 0,
    state: "queued",
    notBefore: timestamp(now),
  };
}

function runActive(vm: ProtectedVm, runId: RunId): FarsideError {
  const message = `The run ${runId} is active for VM ${quote(vm.name)}: wait for it, or cancel it.`;
  return new FarsideError("run-active", message, { details: { vm: vm.name, runId } });
}
