import { FarsideError } from "../../core/errors.ts";
import type { PolicyName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { Context } from "../context.ts";
import { getPolicy } from "./get-policy.ts";

/** Throws `not-found`, and `in-use` while a VM follows the policy. */
export async function removePolicy(
  context: Context,
  input: { readonly name: PolicyName },
  signal: AbortSignal,
): Promise<void> {
  const { catalog } = context;
  const stored = await getPolicy(context, input, signal);
  const { items } = await catalog.vms.list({ where: { policy: input.name }, limit: 1 }, signal);
  const [user] = items;
  if (user !== undefined) {
    throw new FarsideError(
      "in-use",
      `The policy ${quote(input.name)} is in use by the VM ${quote(user.value.name)}: give its VMs another policy first.`,
      { details: { policy: input.name, vm: user.value.name } },
    );
  }
  // The cursor goes first: a policy made again under this name must not think that its past slots were missed.
  await catalog.scheduleCursors.remove(input.name, undefined, signal);
  if ((await catalog.policies.remove(input.name, stored, signal)) === "conflict") {
    throw new FarsideError(
      "conflict",
      `The policy ${quote(input.name)} was changed just now: look at it, then try again.`,
    );
  }
  context.log.log("info", "policy-removed", { policy: input.name });
}
