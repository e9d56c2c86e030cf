import { FarsideError } from "../../core/errors.ts";
import type { VmId } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import { listVms, newestRestorePoint } from "./list-restore-points.ts";
import { mapOrdered } from "./map-ordered.ts";
import type { OpenVault } from "./open-vault.ts";

const vmsAtOnce = 4;

/**
 * The VM that a person means by its id in the vault, or by its name as the newest restore point has it (letters' case does not
 * matter, as in Azure). An id costs one listing; a name one listing and one read for each VM. Throws `not-found`, and `bad-input`
 * where two VMs had the name: then only the id will do.
 */
export async function findVm(vault: OpenVault, nameOrId: string, signal: AbortSignal): Promise<VmId> {
  const vms = await listVms(vault, signal);
  const byId = vms.find((vmId) => vmId === nameOrId);
  if (byId !== undefined) return byId;

  const wanted = nameOrId.toLowerCase();
  const named = async (vmId: VmId, aborted: AbortSignal) => {
    return { vmId, name: (await newestRestorePoint(vault, vmId, aborted))?.manifest.vmName };
  };
  const found: { readonly vmId: VmId; readonly name: string | undefined }[] = [];
  for await (const vm of mapOrdered(vms, vmsAtOnce, named, signal)) {
    if (vm.name?.toLowerCase() === wanted) found.push(vm);
  }
  const exact = found.filter((vm) => vm.name === nameOrId);
  const [only, ...others] = exact.length > 0 ? exact : found;
  if (only === undefined) {
    throw new FarsideError(
      "not-found",
      `The vault ${vault.store.location} has no restore point of a VM ${quote(nameOrId)}.`,
      {
        details: { vm: nameOrId },
      },
    );
  }
  if (others.length === 0) return only.vmId;
  const ids = [only, ...others].map((vm) => vm.vmId);
  throw new FarsideError(
    "bad-input",
    `${ids.length} VMs were named ${quote(nameOrId)}: give an id, one of ${ids.join(", ")}.`,
    {
      details: { vm: nameOrId, vmIds: ids },
    },
  );
}
