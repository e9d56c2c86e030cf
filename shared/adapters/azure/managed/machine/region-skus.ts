/** What a region offers to a subscription: sizes of VMs and kinds of disks, with the restrictions of both (Microsoft.Compute/skus). */
import { z } from "zod";
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { apiVersions } from "../arm-connection.ts";
import { parseModel } from "../arm-models.ts";
import { isSameRegion, regionKey } from "./region-name.ts";

const regionSku = z.object({
  resourceType: z.string().optional(),
  name: z.string().optional(),
  family: z.string().optional(),
  locationInfo: z.array(z.object({ location: z.string().optional(), zones: z.array(z.string()).optional() })).nullish(),
  capabilities: z.array(z.object({ name: z.string(), value: z.string().optional() })).nullish(),
  restrictions: z
    .array(
      z.object({
        type: z.string().optional(),
        values: z.array(z.string()).nullish(),
        reasonCode: z.string().optional(),
        restrictionInfo: z
          .object({ locations: z.array(z.string()).nullish(), zones: z.array(z.string()).nullish() })
          .nullish(),
      }),
    )
    .nullish(),
});
export type RegionSku = z.output<typeof regionSku>;

export interface RegionSkus {
  readonly location: string;
  readonly skus: readonly RegionSku[];
}

/** Undefined where the subscription's list must not be read. A region that offers nothing is none. Throws `bad-input`. */
export async function regionSkus(
  arm: ArmConnection,
  subscriptionId: string,
  location: string,
  signal: AbortSignal,
): Promise<RegionSkus | undefined> {
  const path = `/subscriptions/${subscriptionId}/providers/Microsoft.Compute/skus`;
  const query = { "api-version": apiVersions.skus, $filter: `location eq '${regionKey(location)}'` };
  const skus: RegionSku[] = [];
  try {
    for await (const one of arm.list(path, query, `look at what the region ${location} offers`, signal)) {
      const sku = parseModel(regionSku, one, "a size");
      const isHere = sku.locationInfo?.some((info) => isSameRegion(info.location, location)) ?? false;
      if (isHere && /^(?:virtualMachines|disks)$/i.test(sku.resourceType ?? "")) skus.push(sku);
    }
  } catch (error) {
    if (hasCode(error, "forbidden")) return undefined;
    throw error;
  }
  if (skus.length > 0) return { location, skus };
  throw new FarsideError(
    "bad-input",
    `The region ${location} offers this subscription nothing: check its name ("az account list-locations"), and whether the subscription may use it.`,
    { details: { location } },
  );
}

export function capability(sku: RegionSku, name: string): string | undefined {
  return sku.capabilities?.find((one) => one.name.toLowerCase() === name.toLowerCase())?.value;
}

/** Pure. Throws `not-supported` where the region, or the zone of it, does not offer it to the subscription. */
export function requireSku(
  { location, skus }: RegionSkus,
  resourceType: "virtualMachines" | "disks",
  name: string,
  zone: string | undefined,
): RegionSku {
  const what = `${resourceType === "disks" ? "The kind of disk" : "The size"} ${name}`;
  const flag = resourceType === "disks" ? "--sku" : "--size";
  const isIt = (sku: RegionSku): boolean =>
    sku.resourceType?.toLowerCase() === resourceType.toLowerCase() && sku.name?.toLowerCase() === name.toLowerCase();
  const found = skus.filter(isIt);
  const [first] = found;
  if (first === undefined)
    refuse(`${what} is not offered in the region ${location}: choose another with ${flag}, or another region.`);
  const restrictions = found.flatMap((sku) => sku.restrictions ?? []);
  const inRegion = restrictions.find(({ type }) => type?.toLowerCase() === "location");
  if (inRegion !== undefined) {
    refuse(
      `${what} is not available to this subscription in the region ${location} (${inRegion.reasonCode ?? "restricted"}): choose another with ${flag}, or another region.`,
    );
  }
  if (zone === undefined) return first;
  const zones = found.flatMap((sku) => sku.locationInfo ?? []).flatMap((info) => info.zones ?? []);
  const closed = restrictions
    .filter(({ type }) => type?.toLowerCase() === "zone")
    .flatMap(({ restrictionInfo }) => restrictionInfo?.zones ?? []);
  if (zones.includes(zone) && !closed.includes(zone)) return first;
  const open = [...new Set(zones.filter((one) => !closed.includes(one)))].toSorted();
  const others = open.length === 0 ? "it is in none of its zones" : `it is in ${open.join(", ")}`;
  return refuse(
    `${what} is not available in zone ${zone} of ${location}; ${others}: choose another with --zone, or ${flag}.`,
  );
}

function refuse(message: string): never {
  throw new FarsideError("not-supported", message);
}
