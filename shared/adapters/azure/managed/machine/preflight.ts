/**
 * Refuses everything that can be known to fail before anything is made, and says what will not be as it was.
 *
 * Requests: one each for the resource group, its permissions, what the region offers (in pages) and the quota; one for each disk and interface; for a new VM one for
 * itself, the subnets and their networks; for an exchange one for the VM and one for each disk of it.
 */
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { MachineRestore, PlannedMachine } from "../../../../ports/machine-target.ts";
import type { ResourceGroupId } from "../../../../core/resource-id.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { checkPermissions, neededActions } from "./check-permissions.ts";
import { requireOwn, seeDisk } from "./look-at.ts";
import { allOf } from "./make-disks.ts";
import { checkNames, diskIds, groupOf } from "./names.ts";
import { planRestore, type RestorePlan } from "./plan-restore.ts";
import { checkQuota, demandOf } from "./quota.ts";
import { regionSkus, requireSku, type RegionSkus } from "./region-skus.ts";

export async function preflight(
  arm: ArmConnection,
  restore: MachineRestore,
  signal: AbortSignal,
): Promise<PlannedMachine> {
  checkNames(restore);
  const plan = await planRestore(arm, restore, signal);
  const group = groupOf(restore);
  await checkGroup(arm, group, signal);
  const notes = [...plan.notes, ...(await checkPermissions(arm, group, neededActions(restore.target), signal))];
  const disks = diskIds(restore);
  await allOf(disks, async (id) => {
    const seen = await seeDisk(arm, id, signal);
    if (seen !== undefined) requireOwn(seen, restore.runId, "The disk");
  });
  const [, , subscriptionId = ""] = group.split("/");
  const region = await regionSkus(arm, subscriptionId, plan.location, signal);
  if (region === undefined)
    notes.push(`What the region ${plan.location} offers could not be looked at: that shows when it is used.`);
  else checkDisks(region, plan);
  const demand = demandOf(plan.disks.map(({ sku }) => sku));
  notes.push(...(await checkQuota(arm, subscriptionId, plan.location, demand, signal)));
  return { disks, notes };
}

async function checkGroup(arm: ArmConnection, group: ResourceGroupId, signal: AbortSignal): Promise<void> {
  const name = group.split("/").at(-1) ?? "";
  try {
    await arm.getGroup(group, `look at the resource group ${name}`, signal);
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
    throw new FarsideError(
      "not-found",
      `There is no resource group ${name} in that subscription, or this service must not see it: make it, and give the service its role there.`,
      { details: { resourceGroup: group } },
    );
  }
}

function checkDisks(region: RegionSkus, { disks }: RestorePlan): void {
  for (const { sku, zone } of disks) if (sku !== undefined) requireSku(region, "disks", sku, zone);
}
