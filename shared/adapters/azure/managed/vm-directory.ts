/**
 * The VMs of a subscription or a resource group, by Azure Resource Manager.
 *
 * 1. Each page is parsed whole, and a VM that lies elsewhere is none: a list is either right or an error.
 * 2. "Not there" is what ARM's own codes for a resource or its group say; a subscription that is not found may be one that we may not see.
 */
import { z } from "zod";
import { isInScope, type DiscoveryScope } from "../../../core/discovery-scope.ts";
import { FarsideError, hasCode } from "../../../core/errors.ts";
import { parseVmResourceId, type VmResourceId } from "../../../core/resource-id.ts";
import type { ListedVm, VmDirectory } from "../../../ports/vm-directory.ts";
import { apiVersions, type ArmConnection } from "./arm-connection.ts";
import { parseModel } from "./arm-models.ts";

const listedModel = z.object({
  id: z.string(),
  name: z.string(),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.object({
    storageProfile: z.object({ osDisk: z.object({ osType: z.string().optional() }).optional() }).optional(),
  }),
});

const query = { "api-version": apiVersions.compute };
/** Of one scope: the documented quota of a subscription and region is 25,000 VMs. Beyond it the pages go round in a ring. */
const mostVms = 1_000_000;

export class ArmVmDirectory implements VmDirectory {
  readonly #arm: () => Promise<ArmConnection>;

  /** `arm` is called when ARM is first needed. */
  constructor(arm: () => Promise<ArmConnection>) {
    this.#arm = arm;
  }

  /** Requests: one for each page. */
  async *list(scope: DiscoveryScope, signal: AbortSignal): AsyncGenerator<ListedVm> {
    const arm = await this.#arm();
    const path = `${scope}/providers/Microsoft.Compute/virtualMachines`;
    let seen = 0;
    for await (const raw of arm.list(path, query, `list the VMs of ${scope}`, signal)) {
      const vm = listedOf(raw);
      if (!isInScope(vm.resourceId, scope) || ++seen > mostVms) {
        throw new FarsideError("source-corrupt", `Azure's list of the VMs of ${scope} is not one: ${vm.resourceId}.`);
      }
      yield vm;
    }
  }

  async find(resourceId: VmResourceId, signal: AbortSignal): Promise<ListedVm | undefined> {
    const arm = await this.#arm();
    try {
      return listedOf(await arm.get(resourceId, query, "look for a VM", signal));
    } catch (error) {
      if (hasCode(error, "not-found") && isGone.has(String(error.details["code"]))) return undefined;
      throw error;
    }
  }
}

const isGone = new Set(["ResourceNotFound", "ResourceGroupNotFound"]);

function listedOf(raw: unknown): ListedVm {
  const { id, name, tags = {}, properties } = parseModel(listedModel, raw, "a VM");
  const osType = osTypes.get(properties.storageProfile?.osDisk?.osType?.toLowerCase() ?? "");
  return { resourceId: resourceIdOf(id), name, tags, ...(osType === undefined ? {} : { osType }) };
}

const osTypes: ReadonlyMap<string, "linux" | "windows"> = new Map([
  ["linux", "linux"],
  ["windows", "windows"],
]);

function resourceIdOf(id: string): VmResourceId {
  try {
    return parseVmResourceId(id);
  } catch (cause) {
    throw new FarsideError("source-corrupt", "Azure's list of VMs names one that is none.", { cause });
  }
}
