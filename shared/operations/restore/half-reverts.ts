/**
 * Reverts that began to write and did not come to their end: the disks are of two times, a state in which the VM never was, and a backup
 * of them must say so.
 *
 * 1. Noted before the first write. Whether it came to its end, its row says.
 * 2. Forgotten when it has succeeded, or a later one of at least its disks has, or when somebody sets the VM anew: then that person has put
 *    the disks right.
 */
import type { RunId, VmId } from "../../core/ids.ts";
import type { RestoreIn } from "../../core/run-transitions.ts";
import type { VmState } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { changeVmState } from "../run/claim-vm.ts";

export async function noteRevert(context: Context, vmId: VmId, runId: RunId, signal: AbortSignal): Promise<void> {
  const note = (state: VmState): VmState | undefined => {
    const { halfReverts = [] } = state;
    return halfReverts.includes(runId) ? undefined : { ...state, halfReverts: [...halfReverts, runId] };
  };
  await changeVmState(context, vmId, note, signal);
}

/** One that left the VM's disks half way, if any. For a run that owns the VM: none is at work then. */
export async function halfRevertOf(context: Context, vmId: VmId, signal: AbortSignal): Promise<RunId | undefined> {
  for (const runId of (await context.catalog.vmStates.get(vmId, signal))?.value.halfReverts ?? []) {
    const run = (await context.catalog.runs.get(runId, signal))?.value;
    // Without safety snapshots in its row it has not written. Where the row is lost, nobody knows.
    if (run === undefined || (run.kind === "restore" && run.state !== "succeeded" && run.safety !== undefined))
      return runId;
  }
  return undefined;
}

/** After a revert's end. */
export async function settleReverts(
  context: Context,
  run: RestoreIn<"succeeded" | "failed" | "cancelled">,
  signal: AbortSignal,
): Promise<void> {
  if (run.state !== "succeeded" && run.safety !== undefined) return;
  const over = new Set<RunId>([run.runId]);
  const written = new Set(run.state === "succeeded" ? run.disks.map(({ name }) => name) : []);
  for (const runId of (await context.catalog.vmStates.get(run.vmId, signal))?.value.halfReverts ?? []) {
    const other = (await context.catalog.runs.get(runId, signal))?.value;
    if (other?.kind === "restore" && other.disks.every(({ name }) => written.has(name))) over.add(runId);
  }
  await forget(context, run.vmId, ({ halfReverts = [] }) => halfReverts.filter((runId) => !over.has(runId)), signal);
}

/** Somebody has set the VM anew. */
export async function forgetHalfReverts(context: Context, vmId: VmId, signal: AbortSignal): Promise<void> {
  const left = ({ halfReverts = [], activeRunId }: VmState) => halfReverts.filter((runId) => runId === activeRunId);
  await forget(context, vmId, left, signal);
}

async function forget(
  context: Context,
  vmId: VmId,
  leave: (state: VmState) => readonly RunId[],
  signal: AbortSignal,
): Promise<void> {
  const change = (state: VmState): VmState | undefined => {
    const left = leave(state);
    const { halfReverts = [], ...rest } = state;
    if (left.length === halfReverts.length) return undefined;
    return left.length === 0 ? rest : { ...rest, halfReverts: left };
  };
  await changeVmState(context, vmId, change, signal);
}
