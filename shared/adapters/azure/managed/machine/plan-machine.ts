/** A new VM as it will be made: what is read for it of the target's network, and the plans of its interfaces and of itself. */
import { z } from "zod";
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { ManagedVmTarget } from "../../../../core/machine-restore.ts";
import type { MachineRestore } from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { parseModel } from "../arm-models.ts";
import { getIfThere, networkQuery } from "./look-at.ts";
import { diskIds, nameOf } from "./names.ts";
import {
  neededSubnets,
  networkOf,
  planInterfaces,
  type PlannedInterface,
  type SubnetFacts,
} from "./plan-interfaces.ts";
import { planRestore, type RestorePlan } from "./plan-restore.ts";
import { planVm, type PlannedVm } from "./plan-vm.ts";
import { isSameRegion } from "./region-name.ts";
import { unusableReferences } from "./standing-references.ts";
import { capability, regionSkus, requireSku, type RegionSkus } from "./region-skus.ts";

export interface MachinePlan {
  readonly interfaces: readonly PlannedInterface[];
  readonly vm: PlannedVm;
  readonly subnets: readonly SubnetFacts[];
  readonly notes: readonly string[];
}

/** `region`: where it was looked at already. Requests: two for each subnet; one for each thing
 * that the captured configuration refers to; where the size is another one, what the region offers. */
export async function planMachine(
  arm: ArmConnection,
  restore: MachineRestore,
  target: ManagedVmTarget,
  known: { readonly plan?: RestorePlan; readonly region?: RegionSkus | undefined },
  signal: AbortSignal,
): Promise<MachinePlan> {
  const plan = known.plan ?? (await planRestore(arm, restore, signal));
  const { captured, location, isAtHome, zone } = plan;
  const unusable = await unusableReferences(arm, target, { captured, location, isAtHome }, signal);
  const reach = { captured, location, isAtHome, unusable };
  const subnets: SubnetFacts[] = [];
  for (const id of neededSubnets(target, reach)) subnets.push(await readSubnet(arm, id, target, location, signal));
  const canAccelerate = await accelerates(arm, target, plan, known.region, signal);
  const { interfaces, notes } = planInterfaces(restore, target, { ...reach, subnets, canAccelerate });
  const skus = plan.disks.map(({ sku }) => sku);
  const vm = planVm(restore, target, { ...reach, zone, disks: diskIds(restore), skus, interfaces });
  return { interfaces, vm, subnets, notes: [...notes, ...vm.notes] };
}

const subnetModel = z.object({
  properties: z.object({ addressPrefix: z.string().optional(), addressPrefixes: z.array(z.string()).optional() }),
});
const networkModel = z.object({ location: z.string() });

async function readSubnet(
  arm: ArmConnection,
  id: string,
  { resourceGroup }: ManagedVmTarget,
  location: string,
  signal: AbortSignal,
): Promise<SubnetFacts> {
  const what = `the subnet ${nameOf(id)}`;
  const refuse = (why: string): never => {
    throw new FarsideError("bad-input", `The new VM cannot lie in ${what}: ${why}. Name another one with --subnet.`, {
      details: { subnetId: id },
    });
  };
  const [, , subscriptionId = ""] = resourceGroup.split("/");
  if (id.split("/")[2]?.toLowerCase() !== subscriptionId.toLowerCase()) refuse("it is of another subscription");
  const raw = await getIfThere(arm, id, networkQuery, `look at ${what}`, signal);
  if (raw === undefined) return refuse("it is not there");
  const place = await regionOf(arm, networkOf(id), signal);
  if (place !== undefined && !isSameRegion(place, location)) {
    refuse(`its network is in ${place}, and the VM in ${location}`);
  }
  const { addressPrefix, addressPrefixes } = parseModel(subnetModel, raw, what).properties;
  return { id, prefixes: addressPrefixes ?? (addressPrefix === undefined ? [] : [addressPrefix]) };
}

/** Undefined where the service must see the subnet alone: then the platform refuses what is elsewhere. */
async function regionOf(arm: ArmConnection, networkId: string, signal: AbortSignal): Promise<string | undefined> {
  const what = `the network ${nameOf(networkId)}`;
  try {
    const raw = await arm.get(networkId, networkQuery, `look at ${what}`, signal);
    return parseModel(networkModel, raw, what).location;
  } catch (error) {
    if (hasCode(error, "forbidden")) return undefined;
    throw error;
  }
}

/** Asked for only where the size is not the one whose interfaces were accelerated. */
async function accelerates(
  arm: ArmConnection,
  { size, resourceGroup }: ManagedVmTarget,
  { captured, location }: RestorePlan,
  known: RegionSkus | undefined,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const before = captured?.vm.properties.hardwareProfile?.vmSize;
  const isAsked =
    captured?.networkInterfaces?.some((one) => one.properties.enableAcceleratedNetworking === true) ?? false;
  if (size === undefined || size === before || !isAsked) return undefined;
  const [, , subscriptionId = ""] = resourceGroup.split("/");
  const region = known ?? (await regionSkus(arm, subscriptionId, location, signal));
  if (region === undefined) return undefined;
  return /^true$/i.test(
    capability(requireSku(region, "virtualMachines", size, undefined), "AcceleratedNetworkingEnabled") ?? "",
  );
}
