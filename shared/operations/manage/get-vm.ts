import { FarsideError } from "../../core/errors.ts";
import type { VmName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { ProtectedVm, VmState } from "../../core/vm.ts";
import type { Stored } from "../../ports/catalog.ts";
import type { Context } from "../context.ts";

export interface VmFound {
  readonly stored: Stored<ProtectedVm>;
  readonly state: VmState | undefined;
}

/** Throws `not-found` for a VM that is not protected. */
export async function getVm(context: Context, input: { readonly name: VmName }, signal: AbortSignal): Promise<VmFound> {
  const stored = await context.catalog.vms.get(input.name, signal);
  if (stored === undefined) throw noSuchVm(input.name);
  const state = await context.catalog.vmStates.get(stored.value.vmId, signal);
  return { stored, state: state?.value };
}

export function noSuchVm(name: VmName): FarsideError {
  return new FarsideError("not-found", `No VM ${quote(name)} is protected: see "farside vm list".`, {
    details: { vm: name },
  });
}
