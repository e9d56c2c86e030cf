/**
 * One run at a time, a backup, a revert or an exchange of disks, owns a VM: `vmStates.activeRunId`, changed by ETag.
 *
 * A claim whose run has ended, or never came to be, is taken over: nobody waits for the dead. But an exchange that failed owns its VM until the
 * VM has its former disks again, for a day at most.
 */
import { FarsideError } from "../../core/errors.ts";
import type { PointId, RunId, VmId } from "../../core/ids.ts";
import { isActive } from "../../core/run-transitions.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { epochMs } from "../../core/timestamp.ts";
import type { VmState } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { accessGraceMs } from "../restore/access-grace.ts";

export type VmClaim = { readonly kind: "claimed" } | { readonly kind: "held"; readonly by: RunId };

const maxRounds = 10;

/** A revert, or an exchange, is noted as one: from its claim on it may take hold of the disks, also after its end where it comes back late. */
export async function claimVm(
  context: Context,
  claim: { readonly vmId: VmId; readonly runId: RunId; readonly as: "backup" | "revert" },
  signal: AbortSignal,
): Promise<VmClaim> {
  const { vmId, runId } = claim;
  const holder = { current: undefined as RunId | undefined };
  await changeVmState(
    context,
    vmId,
    async (found) => {
      const state = claim.as === "revert" ? withRevert(found, runId) : found;
      const active = state.activeRunId;
      holder.current = undefined;
      if (active === runId) return state === found ? undefined : state;
      if (active !== undefined && (await isRunning(context, active, signal))) {
        holder.current = active;
        return undefined;
      }
      return { ...state, activeRunId: runId, lastRunId: runId };
    },
    signal,
  );
  return holder.current === undefined ? { kind: "claimed" } : { kind: "held", by: holder.current };
}

function withRevert(state: VmState, runId: RunId): VmState {
  const { reverts = [] } = state;
  return reverts.includes(runId) ? state : { ...state, reverts: [...reverts, runId] };
}

/** No step of these reverts can come back any more. */
export async function forgetReverts(
  context: Context,
  vmId: VmId,
  over: ReadonlySet<RunId>,
  signal: AbortSignal,
): Promise<void> {
  await changeVmState(
    context,
    vmId,
    ({ reverts = [], ...rest }) => {
      const left = reverts.filter((runId) => !over.has(runId));
      if (left.length === reverts.length) return undefined;
      return left.length === 0 ? rest : { ...rest, reverts: left };
    },
    signal,
  );
}

/** The run that owns the VM now, if it still runs. */
export async function activeRunOf(context: Context, vmId: VmId, signal: AbortSignal): Promise<RunId | undefined> {
  const active = (await context.catalog.vmStates.get(vmId, signal))?.value.activeRunId;
  return active !== undefined && (await isRunning(context, active, signal)) ? active : undefined;
}

/** Gives the VM up, where this run has it. */
export async function releaseVm(context: Context, vmId: VmId, runId: RunId, signal: AbortSignal): Promise<void> {
  await changeVmState(
    context,
    vmId,
    (state) => {
      if (state.activeRunId !== runId) return undefined;
      const { activeRunId: _, ...rest } = state;
      return rest;
    },
    signal,
  );
}

/** Notes a restore point, where it is newer than the one known, and gives the VM up. */
export async function noteRestorePoint(
  context: Context,
  point: { vmId: VmId; runId: RunId; pointId: PointId; snapshotAt: Timestamp },
  signal: AbortSignal,
): Promise<void> {
  await changeVmState(
    context,
    point.vmId,
    (state) => {
      const { activeRunId, ...rest } = state;
      const kept = activeRunId === undefined || activeRunId === point.runId ? rest : state;
      const newer = state.lastPointId === undefined || state.lastPointId < point.pointId;
      if (!newer && kept === state) return undefined;
      return newer ? { ...kept, lastPointId: point.pointId, lastPointAt: point.snapshotAt } : kept;
    },
    signal,
  );
}

async function isRunning(context: Context, runId: RunId, signal: AbortSignal): Promise<boolean> {
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run === undefined || isActive(run)) return run !== undefined;
  if (run.kind !== "restore" || run.target.kind !== "swap-disks" || run.cleanUp === "done") return false;
  return context.clock.now() - epochMs(run.finishedAt) < accessGraceMs;
}

/** Of two changes at once, both are made: `decide` is asked again with the newer row, and says `undefined` where nothing is to change. */
export async function changeVmState(
  context: Context,
  vmId: VmId,
  decide: (state: VmState) => VmState | undefined | Promise<VmState | undefined>,
  signal: AbortSignal,
): Promise<void> {
  const { vmStates } = context.catalog;
  for (let round = 0; round < maxRounds; round++) {
    const stored = await vmStates.get(vmId, signal);
    const next = await decide(stored?.value ?? { vmId });
    if (next === undefined) return;
    const done =
      stored === undefined ? await vmStates.insert(next, signal) : await vmStates.replace(stored, next, signal);
    if (done !== "exists" && done !== "conflict") return;
  }
  throw new FarsideError("conflict", `The state of VM ${vmId} changed ${maxRounds} times while it was written.`, {
    details: { vmId },
  });
}
