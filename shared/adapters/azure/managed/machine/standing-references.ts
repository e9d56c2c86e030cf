/**
 * What the captured configuration refers to may be gone since, or not be the service's to give: found out before the disks are written, and left
 * out of the plan. Only what lies in the target's region and subscription is looked at; nothing else is kept anyway.
 */
import { z } from "zod";
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { ManagedVmTarget } from "../../../../core/machine-restore.ts";
import { parseResourceGroupId, resourceParts } from "../../../../core/resource-id.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { apiVersions } from "../arm-connection.ts";
import { parseModel } from "../arm-models.ts";
import { isAllowed, permissionsIn } from "./check-permissions.ts";
import { getIfThere, networkQuery, vmQuery } from "./look-at.ts";
import { nameOf } from "./names.ts";
import { capturedInterfaces, isOfSubscription, type Reach } from "./plan-interfaces.ts";
import { isSameRegion } from "./region-name.ts";

/** Ids, in lower case, that cannot be used though they are within reach. */
export type Unusable = ReadonlySet<string>;

/** Requests: one for each reference, one for the permissions in each resource group of an identity. */
export async function unusableReferences(
  arm: ArmConnection,
  target: ManagedVmTarget,
  { captured, isAtHome }: Reach,
  signal: AbortSignal,
): Promise<Unusable> {
  const unusable = new Set<string>();
  if (captured === undefined || !isAtHome) return unusable;
  const { availabilitySet, proximityPlacementGroup, host, hostGroup } = captured.vm.properties;
  const groups = capturedInterfaces(captured).flatMap(({ properties }) => [
    // One that was named takes its place.
    ...(target.networkSecurityGroupId === undefined ? [properties.networkSecurityGroup] : []),
    ...properties.ipConfigurations.flatMap((one) => one.properties.applicationSecurityGroups ?? []),
  ]);
  const references = [availabilitySet, proximityPlacementGroup, host, hostGroup, ...groups];
  const ids = new Set(references.flatMap((one) => (one === undefined ? [] : [one.id])));
  for (const id of ids) {
    if (!isOfSubscription(id, target)) continue;
    if (!(await isThere(arm, id, signal))) unusable.add(id.toLowerCase());
  }
  const identities = Object.keys(captured.vm.identity?.userAssignedIdentities ?? {});
  for (const id of identities) {
    if (isOfSubscription(id, target) && !(await canAssign(arm, id, signal))) unusable.add(id.toLowerCase());
  }
  return unusable;
}

/** What the service must not even look at it cannot use: the platform would refuse the VM for it when its disks are written. */
async function isThere(arm: ArmConnection, id: string, signal: AbortSignal): Promise<boolean> {
  const parts = resourceParts(id);
  if (parts === undefined) return false;
  const query = /network$/i.test(parts.provider) ? networkQuery : vmQuery;
  try {
    return (await getIfThere(arm, id, query, `look at ${nameOf(id)}`, signal)) !== undefined;
  } catch (error) {
    if (hasCode(error, "forbidden")) return false;
    throw error;
  }
}

const assign = "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action";

/** A VM's identity is given by whoever may assign it ("Managed Identity Operator"). */
async function canAssign(arm: ArmConnection, id: string, signal: AbortSignal): Promise<boolean> {
  try {
    const group = parseResourceGroupId(id.split("/").slice(0, 5).join("/"));
    return isAllowed(assign, await permissionsIn(arm, group, signal));
  } catch (error) {
    // No group of that name any more; or an id that is none.
    if (hasCode(error, "forbidden", "not-found", "bad-input")) return false;
    throw error;
  }
}

const placed = z.object({ location: z.string() });

/** What was asked for by its id. Throws `bad-input` where it is not there, or elsewhere; gives a note where it must not be looked at. */
export async function checkNamed(
  arm: ArmConnection,
  id: string,
  {
    what,
    flag,
    location,
    group,
  }: { readonly what: string; readonly flag: string; readonly location: string; readonly group: string },
  signal: AbortSignal,
): Promise<readonly string[]> {
  const refuse = (why: string): never => {
    const message = `The ${what} ${nameOf(id)} ${why}: name another one with ${flag}.`;
    throw new FarsideError("bad-input", message, { details: { id } });
  };
  const parts = resourceParts(id);
  if (parts === undefined) return refuse("is no resource id of Azure's");
  if (parts.subscriptionId.toLowerCase() !== group.split("/")[2]?.toLowerCase()) refuse("is of another subscription");
  const query = { "api-version": /network$/i.test(parts.provider) ? apiVersions.network : apiVersions.disk };
  try {
    const raw = await getIfThere(arm, id, query, `look at the ${what} ${nameOf(id)}`, signal);
    if (raw === undefined) return refuse("is not there");
    const { location: place } = parseModel(placed, raw, `the ${what} ${nameOf(id)}`);
    if (!isSameRegion(place, location)) refuse(`is in ${place}, and not in ${location}`);
    return [];
  } catch (error) {
    if (!hasCode(error, "forbidden")) throw error;
    return [`The ${what} ${nameOf(id)} could not be looked at: whether it can be used shows when it is.`];
  }
}
