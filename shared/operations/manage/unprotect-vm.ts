import { FarsideError } from "../../core/errors.ts";
import type { VmName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { letGoOfReverts } from "../restore/let-go-of-reverts.ts";
import { removeChosenSnapshots } from "../run/remove-snapshots.ts";
import { getVm, noSuchVm } from "./get-vm.ts";

/**
 * Stops protecting a VM; its restore points, and what is known of them, stay. The snapshots at the source go first: they serve the
 * next backup only, and after the row nobody would find them. Throws `run-active` while a backup or a revert of it runs: the run would find the
 * ground gone under it.
 */
export async function unprotectVm(
  context: Context,
  input: { readonly name: VmName },
  signal: AbortSignal,
): Promise<void> {
  const { stored, state } = await getVm(context, input, signal);
  if (state?.activeRunId !== undefined) {
    throw new FarsideError(
      "run-active",
      `The VM ${quote(input.name)} belongs to the run ${state.activeRunId} now: wait for it, or stop it with "farside run cancel".`,
      { details: { vm: input.name, runId: state.activeRunId } },
    );
  }
  await releaseSnapshots(context, stored.value, signal);
  const removed = await context.catalog.vms.remove(input.name, stored, signal);
  if (removed === "absent") throw noSuchVm(input.name);
  if (removed === "conflict") {
    throw new FarsideError("conflict", `The VM ${quote(input.name)} was changed just now: look at it, then try again.`);
  }
  context.log.log("info", "vm-unprotected", { vm: input.name, vmId: stored.value.vmId });
}

/** Also what a revert of it may have left held: after the row nobody looks. A source that is gone, or does not answer, must not keep a VM protected for ever. */
async function releaseSnapshots(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<void> {
  try {
    await letGoOfReverts(context, vm, signal);
    await removeChosenSnapshots(context, vm, () => true, signal);
  } catch (error) {
    if (!(error instanceof FarsideError)) throw error;
    context.log.log("warning", "snapshots-left", { vm: vm.name, vmId: vm.vmId, error: error.message });
  }
}
