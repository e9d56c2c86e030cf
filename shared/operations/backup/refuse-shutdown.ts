import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { Policy } from "../../core/policy.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";

/** A policy that stops VMs is none for a VM behind which nothing can be stopped. Throws `not-supported`, before anything is done. */
export function refuseShutdown(
  context: Pick<Context, "source">,
  vm: Pick<ProtectedVm, "name" | "source">,
  policy: Pick<Policy, "name" | "shutdown">,
): void {
  if (policy.shutdown !== true || context.source(vm.source.kind).power !== undefined) return;
  throw new FarsideError(
    "not-supported",
    `The policy ${quote(policy.name)} stops VMs for their backup, and the VM ${quote(vm.name)} is protected by its page blobs, behind which nothing can be stopped: give it a policy with --no-shutdown, or protect it by --resource-id.`,
    { details: { vm: vm.name, policy: policy.name } },
  );
}
