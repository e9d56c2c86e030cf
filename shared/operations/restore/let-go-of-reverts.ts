/**
 * Ends what reverts that are over may still hold of a VM's disks: nobody could start the VM any more.
 *
 * 1. A run's own clean-up lets go of its disks. This is for what comes after it: a step that came back late, took hold and died.
 * 2. A revert whose row is lost writes nothing any more, for every step reads the row first: its holds end as well. Its safety snapshots
 *    stay, as nobody knows which of them are needed.
 */
import type { RunId } from "../../core/ids.ts";
import { longestRestoreMs } from "../../core/restore-plan.ts";
import { isActive } from "../../core/run-transitions.ts";
import type { Run } from "../../core/run.ts";
import { isMachineTarget } from "../../core/run.ts";
import { epochMs } from "../../core/timestamp.ts";
import { ulidEpochMs } from "../../core/ulid.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { forgetReverts } from "../run/claim-vm.ts";
import { leaveReverted, reverterOf } from "./revert-disks.ts";
import { takeBackAgain } from "./take-back-machine.ts";

/** After its run's end a step may come back for so long: a process lives for hours at most. */
const comebackMs = 24 * 3_600_000;

export async function letGoOfReverts(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<void> {
  const reverts = (await context.catalog.vmStates.get(vm.vmId, signal))?.value.reverts ?? [];
  const over = new Set<RunId>();
  for (const runId of reverts) {
    const run = (await context.catalog.runs.get(runId, signal))?.value;
    if (run !== undefined && (isActive(run) || run.cleanUp === "pending")) continue;
    await letGo(context, vm, runId, run, signal);
    const endedAt =
      run !== undefined && "finishedAt" in run ? epochMs(run.finishedAt) : ulidEpochMs(runId) + longestRestoreMs;
    if (context.clock.now() - endedAt > comebackMs) over.add(runId);
  }
  if (over.size > 0) await forgetReverts(context, vm.vmId, over, signal);
}

async function letGo(
  context: Context,
  vm: ProtectedVm,
  runId: RunId,
  run: Run | undefined,
  signal: AbortSignal,
): Promise<void> {
  if (run?.kind === "restore" && isMachineTarget(run.target)) return takeBackAgain(context, run, signal);
  if (run?.kind === "restore") {
    for (const disk of run.disks) await leaveReverted(context, run, disk, signal);
    return;
  }
  const { source } = vm;
  // No other source is reverted: nothing of it was ever held.
  if (source.kind !== "page-blob") return;
  const reverter = reverterOf(context, source.kind);
  for (const { name, url } of source.disks) await reverter.letGo({ name, url, sizeBytes: 0 }, runId, signal);
}
