/** What a subscription may still make in a region (Microsoft.Compute/locations/usages). */
import { z } from "zod";
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { apiVersions } from "../arm-connection.ts";
import { parseModel } from "../arm-models.ts";
import { regionKey } from "./region-name.ts";

const usage = z.object({
  name: z.object({ value: z.string(), localizedValue: z.string().optional() }),
  currentValue: z.number(),
  limit: z.number(),
});
export type Usage = z.output<typeof usage>;

/** How much of what, by the service's names. */
export type Demand = ReadonlyMap<string, number>;

export function demandOf(
  skus: readonly (string | undefined)[],
  vm?: { readonly family: string | undefined; readonly cores: number; readonly isSpot: boolean },
): Demand {
  const demand = new Map<string, number>();
  const add = (name: string | undefined, count: number): void => {
    if (name !== undefined && count > 0) demand.set(name, (demand.get(name) ?? 0) + count);
  };
  for (const sku of skus) add(quotaOfDisk(sku), 1);
  if (vm === undefined) return demand;
  add("virtualMachines", 1);
  // Spot VMs of all families have one quota of their own ("Spot Virtual Machines", Quotas).
  if (vm.isSpot) add("lowPriorityCores", vm.cores);
  else {
    add("cores", vm.cores);
    add(vm.family, vm.cores);
  }
  return demand;
}

/** As the region of a subscription lists them; a name that it does not list is not checked. */
function quotaOfDisk(sku: string | undefined): string | undefined {
  const kind = sku?.split("_")[0];
  if (kind === undefined) return undefined;
  return {
    standard: "StandardDiskCount",
    standardssd: "StandardSSDDiskCount",
    premium: "PremiumDiskCount",
    premiumv2: "PremiumV2DiskCount",
    ultrassd: "UltraSSDDiskCount",
  }[kind.toLowerCase()];
}

/** Throws `refused` where there is too little. Gives a note where the list must not be read. */
export async function checkQuota(
  arm: ArmConnection,
  subscriptionId: string,
  location: string,
  demand: Demand,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const path = `/subscriptions/${subscriptionId}/providers/Microsoft.Compute/locations/${regionKey(location)}/usages`;
  const query = { "api-version": apiVersions.compute };
  let usages: Usage[];
  try {
    const found = await Array.fromAsync(arm.list(path, query, `look at the quota in ${location}`, signal));
    usages = found.map((one) => parseModel(usage, one, "a quota"));
  } catch (error) {
    if (!hasCode(error, "forbidden")) throw error;
    return [`The quota in ${location} could not be looked at: where it does not suffice, that shows when it is used.`];
  }
  refuseShort(location, demand, usages);
  return [];
}

/** Pure. */
export function refuseShort(location: string, demand: Demand, usages: readonly Usage[]): void {
  const short = [...demand].flatMap(([name, count]) => {
    const found = usages.find((one) => one.name.value.toLowerCase() === name.toLowerCase());
    // A limit below zero is none.
    if (found === undefined || found.limit < 0 || found.currentValue + count <= found.limit) return [];
    return [`${found.name.localizedValue ?? name} (${found.currentValue} of ${found.limit} used, ${count} needed)`];
  });
  if (short.length === 0) return;
  throw new FarsideError(
    "refused",
    `The subscription's quota in ${location} does not suffice: ${short.join("; ")}. Ask for more in the portal (Quotas), or restore to another region, size or subscription.`,
    { details: { location, short } },
  );
}
