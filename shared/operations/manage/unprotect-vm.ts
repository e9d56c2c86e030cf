import { FarsideError } from "../../core/errors.ts";
import type { VmName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { Context } from "../context.ts";
import { getVm, noSuchVm } from "./get-vm.ts";

/**
 * Stops protecting a VM; its restore points, and what is known of them, stay. Throws `run-active` while a backup of it
 * runs: the run would find the ground gone under it.
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
      `The VM ${quote(input.name)} is being backed up by run ${state.activeRunId}: wait for it, or stop it with "farside run cancel".`,
      { details: { vm: input.name, runId: state.activeRunId } },
    );
  }
  const removed = await context.catalog.vms.remove(input.name, stored, signal);
  if (removed === "absent") throw noSuchVm(input.name);
  if (removed === "conflict") {
    throw new FarsideError("conflict", `The VM ${quote(input.name)} was changed just now: look at it, then try again.`);
  }
  context.log.log("info", "vm-unprotected", { vm: input.name, vmId: stored.value.vmId });
}
