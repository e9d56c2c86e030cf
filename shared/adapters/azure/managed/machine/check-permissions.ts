/** What the identity may do in a resource group, as ARM tells it: its roles' actions, with wildcards, less those that a role leaves out. */
import { z } from "zod";
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { MachineTargetSpec } from "../../../../core/machine-restore.ts";
import type { ResourceGroupId } from "../../../../core/resource-id.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { apiVersions } from "../arm-connection.ts";
import { parseModel } from "../arm-models.ts";

const disk = ["read", "write", "delete", "beginGetAccess/action", "endGetAccess/action"];
const vm = ["read", "write", "delete", "deallocate/action"];
const exchange = ["read", "write", "deallocate/action", "start/action"];
const nic = ["read", "write", "delete", "join/action"];

export function neededActions({ kind }: Pick<MachineTargetSpec, "kind">): readonly string[] {
  const of = (type: string, actions: readonly string[]) => actions.map((action) => `${type}/${action}`);
  const disks = of("Microsoft.Compute/disks", disk);
  if (kind === "managed-disks") return disks;
  if (kind === "swap-disks") return [...disks, ...of("Microsoft.Compute/virtualMachines", exchange)];
  return [...disks, ...of("Microsoft.Compute/virtualMachines", vm), ...of("Microsoft.Network/networkInterfaces", nic)];
}

const permission = z.object({ actions: z.array(z.string()).default([]), notActions: z.array(z.string()).default([]) });
export type Permission = z.output<typeof permission>;

/** One role is enough. Pure. */
export function isAllowed(action: string, permissions: readonly Permission[]): boolean {
  const fits = (pattern: string) =>
    new RegExp(
      `^${pattern
        .split("*")
        .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"))
        .join(".*")}$`,
      "i",
    ).test(action);
  return permissions.some(({ actions, notActions }) => actions.some(fits) && !notActions.some(fits));
}

/**
 * Throws `forbidden` with what lacks. Gives a note where the permissions themselves must not be read: then the first request that
 * is refused tells. Deny assignments and locks are not among them.
 */
export async function checkPermissions(
  arm: ArmConnection,
  group: ResourceGroupId,
  needed: readonly string[],
  signal: AbortSignal,
): Promise<readonly string[]> {
  const name = group.split("/").at(-1) ?? "";
  let permissions: readonly Permission[];
  try {
    permissions = await permissionsIn(arm, group, signal);
  } catch (error) {
    if (!hasCode(error, "forbidden")) throw error;
    return [`The permissions in the resource group ${name} could not be looked at: what lacks shows when it is used.`];
  }
  const lacking = needed.filter((action) => !isAllowed(action, permissions));
  if (lacking.length === 0) return [];
  throw new FarsideError(
    "forbidden",
    `The identity of this service lacks permissions in the resource group ${name}: ${lacking.join(", ")}. Assign it a role that has them (docs/azure.md).`,
    { details: { resourceGroup: group, lacking } },
  );
}

export async function permissionsIn(
  arm: ArmConnection,
  group: ResourceGroupId,
  signal: AbortSignal,
): Promise<readonly Permission[]> {
  const path = `${group}/providers/Microsoft.Authorization/permissions`;
  const query = { "api-version": apiVersions.permissions };
  const doing = `look at the permissions in ${group.split("/").at(-1) ?? ""}`;
  const found = await Array.fromAsync(arm.list(path, query, doing, signal));
  return found.map((one) => parseModel(permission, one, "a permission"));
}
