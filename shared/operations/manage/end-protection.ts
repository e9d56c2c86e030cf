import { FarsideError } from "../../core/errors.ts";
import { quote, type VmName } from "../../core/ids.ts";
import type { ProtectedVm, VmState } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { letGoOfReverts } from "../restore/let-go-of-reverts.ts";
import { removeChosenSnapshots } from "../run/remove-snapshots.ts";
import { noSuchVm, type VmFound } from "./get-vm.ts";

export interface Ending extends VmFound {
  /** For the log. */
  readonly because: string;
  /** Whether somebody comes back where the source does not answer now. Else its snapshots are left, so that the VM does not stay protected for ever. */
  readonly comesBack: boolean;
}

/**
 * Stops protecting a VM; its restore points, and what is known of them, stay. The snapshots at the source go first: they serve the
 * next backup only, and after the row nobody would find them. Throws `run-active` while a backup or a revert of it runs: the run would find the
 * ground gone under it. Throws `throttled` where the source asks to slow down.
 */
export async function endProtection(
  context: Context,
  { stored, state, because, comesBack }: Ending,
  signal: AbortSignal,
): Promise<void> {
  const { name, vmId } = stored.value;
  refuseActive(name, state);
  await releaseSnapshots(context, stored.value, comesBack, signal);
  // That may take minutes, and a run that has begun meanwhile would make what nobody finds any more.
  refuseActive(name, (await context.catalog.vmStates.get(vmId, signal))?.value);
  const removed = await context.catalog.vms.remove(name, stored, signal);
  if (removed === "absent") throw noSuchVm(name);
  if (removed === "conflict") {
    throw new FarsideError("conflict", `The VM ${quote(name)} was changed just now: look at it, then try again.`);
  }
  context.log.log("info", "vm-unprotected", { vm: name, vmId, because });
}

function refuseActive(name: VmName, state: VmState | undefined): void {
  if (state?.activeRunId === undefined) return;
  throw new FarsideError(
    "run-active",
    `The VM ${quote(name)} belongs to the run ${state.activeRunId} now: wait for it, or stop it with "farside run cancel".`,
    { details: { vm: name, runId: state.activeRunId } },
  );
}

/** Also what a revert of it may have left held: after the row nobody looks. */
async function releaseSnapshots(
  context: Context,
  vm: ProtectedVm,
  comesBack: boolean,
  signal: AbortSignal,
): Promise<void> {
  try {
    await letGoOfReverts(context, vm, signal);
    await removeChosenSnapshots(context, vm, () => true, signal);
  } catch (error) {
    // Many snapshots are not removed in one go: asked again, it goes on where it was told to slow down.
    if (!(error instanceof FarsideError) || (comesBack && error.advice === "retry") || error.code === "throttled")
      throw error;
    context.log.log("warning", "snapshots-left", { vm: vm.name, vmId: vm.vmId, error: error.message });
  }
}
