import type { TaggedVm } from "../../core/discovery-plan.ts";
import { discoveredNames } from "../../core/discovered-name.ts";
import { FarsideError, hasCode } from "../../core/errors.ts";
import type { PolicyName, VmId, VmName } from "../../core/ids.ts";
import type { VmResourceId } from "../../core/resource-id.ts";
import { timestamp } from "../../core/timestamp.ts";
import { vmIdOf, type ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { newestRestorePoint } from "../vault/list-restore-points.ts";
import { readConfiguration } from "../vault/read-configuration.ts";

/**
 * Protects a VM after its tag, and gives its name here: the first of its possible names that no other VM has, nor had. The VM is not looked
 * at: what keeps it from being backed up, its first run tells. With `rehearsed`, the names given so far, nothing is written. Throws `already-exists` where every name is another's.
 *
 * 1. Another look, at the same time, may do the same: whose row is there first counts, for both.
 * 2. A name under which the vault has another VM's restore points is that VM's: histories are not mixed.
 */
export async function protectDiscovered(
  context: Context,
  input: { readonly vm: TaggedVm; readonly policy: PolicyName; readonly rehearsed?: Set<VmName> | undefined },
  signal: AbortSignal,
): Promise<VmName> {
  const { vm, policy, rehearsed } = input;
  const names = discoveredNames(vm.name, vm.resourceId);
  for (const name of names) {
    const row = (await context.catalog.vms.get(name, signal))?.value;
    if (row !== undefined && isOf(row, vm.resourceId)) return name;
  }
  for (const name of names) {
    if ((await context.catalog.vms.get(name, signal)) !== undefined) continue;
    if (await wasAnothers(context, vmIdOf(name), vm.resourceId, signal)) continue;
    if (rehearsed !== undefined) {
      if (rehearsed.has(name)) continue;
      rehearsed.add(name);
      return name;
    }
    if (await insert(context, name, vm, policy, signal)) return name;
  }
  throw new FarsideError(
    "already-exists",
    `Other VMs have the names ${names.join(" and ")} here: protect it by hand, with "farside vm protect" and another name.`,
  );
}

/** Whether the row of this name is now this VM's. */
async function insert(
  context: Context,
  name: VmName,
  { resourceId, osType }: TaggedVm,
  policy: PolicyName,
  signal: AbortSignal,
): Promise<boolean> {
  const now = timestamp(context.clock.now());
  const row: ProtectedVm = {
    name,
    vmId: vmIdOf(name),
    policy,
    protectedBy: "tag",
    source: { kind: "managed", resourceId },
    ...(osType === undefined ? {} : { osType }),
    protectedAt: now,
    updatedAt: now,
  };
  if ((await context.catalog.vms.insert(row, signal)) === "exists") {
    const other = (await context.catalog.vms.get(name, signal))?.value;
    return other !== undefined && isOf(other, resourceId);
  }
  context.log.log("info", "vm-protected", { vm: name, vmId: row.vmId, policy, by: "tag" });
  return true;
}

/** By the newest restore point; one that tells nothing, or is damaged, counts as another's. */
async function wasAnothers(
  context: Context,
  vmId: VmId,
  resourceId: VmResourceId,
  signal: AbortSignal,
): Promise<boolean> {
  const vault = await context.vault(signal);
  const newest = await newestRestorePoint(vault, vmId, signal);
  if (newest === undefined) return false;
  try {
    const { resourceId: held } = await readConfiguration(vault, newest.manifest, signal);
    return typeof held !== "string" || held.toLowerCase() !== resourceId.toLowerCase();
  } catch (error) {
    if (hasCode(error, "vault-corrupt")) return true;
    throw error;
  }
}

export function isOf({ source }: ProtectedVm, resourceId: VmResourceId): boolean {
  return source.kind === "managed" && source.resourceId.toLowerCase() === resourceId.toLowerCase();
}
