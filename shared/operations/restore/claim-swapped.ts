import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { RestoreRun } from "../../core/run.ts";
import type { Context } from "../context.ts";
import { claimVm } from "../run/claim-vm.ts";

/** Where the run exchanges the VM's disks, the VM is its own. Its request may have died before it had claimed it. Throws `run-active`. */
export async function claimSwapped(context: Context, run: RestoreRun, signal: AbortSignal): Promise<void> {
  const { vmId, runId, target } = run;
  if (target.kind !== "swap-disks") return;
  const claim = await claimVm(context, { vmId, runId, as: "revert" }, signal);
  if (claim.kind === "claimed") return;
  const message = `The run ${claim.by} is active for VM ${quote(run.vm)}: wait for it, or cancel it.`;
  throw new FarsideError("run-active", message, { details: { vm: run.vm, runId: claim.by } });
}
