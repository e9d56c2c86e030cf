import { isInScope } from "../../core/discovery-scope.ts";
import { FarsideError } from "../../core/errors.ts";
import type { VmName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { endProtection } from "./end-protection.ts";
import { getVm } from "./get-vm.ts";

/**
 * Stops protecting a VM as a person asks; its restore points stay. Throws `run-active` while a backup or a revert of it runs, and `refused` for a VM
 * that the next look at the tags would protect again.
 */
export async function unprotectVm(
  context: Context,
  input: { readonly name: VmName },
  signal: AbortSignal,
): Promise<void> {
  const found = await getVm(context, input, signal);
  refuseTagged(context, found.stored.value);
  await endProtection(context, { ...found, because: "A person asked for it.", comesBack: false }, signal);
}

function refuseTagged(context: Context, { name, source, protectedBy }: ProtectedVm): void {
  if (protectedBy !== "tag" || source.kind !== "managed") return;
  const { scopes, tag } = context.discovery;
  const { resourceId } = source;
  if (!scopes.some((scope) => isInScope(resourceId, scope))) return;
  throw new FarsideError(
    "refused",
    `The VM ${quote(name)} is protected by its tag ${quote(tag)}, and would be again at the next look: remove the tag from ${resourceId}.`,
    { details: { vm: name, resourceId, tag } },
  );
}
