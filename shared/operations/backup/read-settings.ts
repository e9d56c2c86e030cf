import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { Policy } from "../../core/policy.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";

/** Throws `not-found` where the VM or its policy is gone: then the run has nothing to go by. */
export async function readSettings(
  context: Context,
  run: BackupIn<"snapshotting">,
  signal: AbortSignal,
): Promise<{ vm: ProtectedVm; policy: Policy }> {
  const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
  if (vm === undefined || vm.vmId !== run.vmId) {
    throw new FarsideError("not-found", `The VM ${quote(run.vm)} is not protected any more.`, {
      details: { vm: run.vm },
    });
  }
  const policy = (await context.catalog.policies.get(run.policy, signal))?.value;
  if (policy === undefined) {
    throw new FarsideError("not-found", `The policy ${quote(run.policy)} of VM ${quote(run.vm)} is gone.`, {
      details: { policy: run.policy },
    });
  }
  return { vm, policy };
}
