/**
 * Refuses everything that can be known to fail before anything is made, and says what will not be as it was.
 *
 * Requests: one each for the resource group, its permissions, what the region offers (in pages) and the quota; one for each disk and interface; for a new VM one for
 * itself, the subnets and their networks; for an exchange one for the VM and one for each disk of it.
 */
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { MachineRestore, PlannedMachine } from "../../../../ports/machine-target.ts";
import { parseResourceGroupId, type ResourceGroupId } from "../../../../core/resource-id.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { checkPermissions, neededActions } from "./check-permissions.ts";
import { checkSize } from "./check-size.ts";
import { checkExchange } from "./exchange-disks.ts";
import { networkQuery, requireOwn, seeAny, seeDisk, seeVm } from "./look-at.ts";
import { allOf } from "./make-disks.ts";
import { checkNames, diskIds, groupOf, vmIdOf } from "./names.ts";
import { planMachine } from "./plan-machine.ts";
import { planRestore, type RestorePlan } from "./plan-restore.ts";
import { checkQuota, demandOf } from "./quota.ts";
import { checkNamed } from "./standing-references.ts";
import { capability, regionSkus, requireSku, type RegionSkus } from "./region-skus.ts";

export async function preflight(
  arm: ArmConnection,
  restore: MachineRestore,
  signal: AbortSignal,
): Promise<PlannedMachine> {
  checkNames(restore);
  checkSlots(restore);
  const plan = await planRestore(arm, restore, signal);
  const group = groupOf(restore);
  await checkGroup(arm, group, signal);
  const notes = [...plan.notes, ...(await checkPermissions(arm, group, neededActions(restore.target), signal))];
  notes.push(...(await checkWishes(arm, restore, plan, signal)));
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
  const machine = await checkMachine(arm, restore, plan, region, signal);
  notes.push(...machine.notes);
  const demand = demandOf(
    plan.disks.map(({ sku }) => sku),
    machine.demand,
  );
  notes.push(...(await checkQuota(arm, subscriptionId, plan.location, demand, signal)));
  return { disks, notes };
}

/** Disks of different points may have had one place, one after the other. */
function checkSlots({ target, disks }: MachineRestore): void {
  if (target.kind === "managed-disks") return;
  const taken = new Map<string, string>();
  for (const { role, lun, name } of disks) {
    if (role === "data" && lun === undefined) continue;
    const slot = role === "os" ? "OS disk" : `disk at LUN ${lun ?? "?"}`;
    const other = taken.get(slot);
    taken.set(slot, name);
    if (other === undefined) continue;
    throw new FarsideError(
      "bad-input",
      `The disks ${other} and ${name} cannot both be the VM's ${slot}: choose one of them, or restore them as managed disks.`,
      { details: { disks: [other, name] } },
    );
  }
}

/** What was asked for by its id, other than the subnet. */
async function checkWishes(
  arm: ArmConnection,
  { target }: MachineRestore,
  { location }: RestorePlan,
  signal: AbortSignal,
): Promise<readonly string[]> {
  if (target.kind === "swap-disks") return [];
  const group = target.resourceGroup;
  const notes: string[] = [];
  if (target.diskEncryptionSetId !== undefined) {
    const facts = { what: "disk encryption set", flag: "--encryption-set", location, group };
    notes.push(...(await checkNamed(arm, target.diskEncryptionSetId, facts, signal)));
  }
  const nsg = target.kind === "managed-vm" ? target.networkSecurityGroupId : undefined;
  if (nsg !== undefined && nsg !== "none") {
    const facts = { what: "network security group", flag: "--nsg", location, group };
    notes.push(...(await checkNamed(arm, nsg, facts, signal)));
  }
  return notes;
}

interface CheckedMachine {
  readonly demand?: Parameters<typeof demandOf>[1];
  readonly notes: readonly string[];
}

async function checkMachine(
  arm: ArmConnection,
  restore: MachineRestore,
  plan: RestorePlan,
  region: RegionSkus | undefined,
  signal: AbortSignal,
): Promise<CheckedMachine> {
  const { target, disks, runId } = restore;
  if (target.kind === "swap-disks") return { notes: checkExchange(restore, plan) };
  if (target.kind !== "managed-vm") return { notes: [] };
  const { vm, interfaces, subnets, notes } = await planMachine(arm, restore, target, { plan, region }, signal);
  const standing = await seeVm(arm, vmIdOf(target.resourceGroup, target.name), signal);
  if (standing !== undefined) requireOwn(standing, runId, "The VM");
  for (const { id } of interfaces) {
    const seen = await seeAny(arm, id, networkQuery, signal);
    if (seen !== undefined) requireOwn(seen, runId, "The network interface");
  }
  const more: string[] = target.leaveStopped === true ? [stoppedLate] : [];
  const subnetIds = subnets.map(({ id }) => id);
  const groupIds = interfaces.flatMap(({ securityGroupId }) => securityGroupId ?? []);
  for (const [group, actions] of joining(subnetIds, groupIds)) {
    more.push(...(await checkPermissions(arm, parseResourceGroupId(group), [...actions], signal)));
  }
  if (region === undefined) return { notes: [...notes, ...more] };
  const zone = plan.zone === "none" ? undefined : plan.zone;
  const size = requireSku(region, "virtualMachines", vm.size, zone);
  const osDisk = disks.findIndex(({ role }) => role === "os");
  const before = plan.captured?.vm.properties;
  checkSize(size, {
    dataDisks: disks.length - 1,
    interfaces: interfaces.length,
    diskSkus: plan.disks.map(({ sku }) => sku),
    generation: plan.disks[osDisk]?.generation,
    isTrusted: disks[osDisk]?.guestState !== undefined,
    encryptsAtHost: before?.securityProfile?.encryptionAtHost === true,
    controller: before?.storageProfile.diskControllerType,
    architecture: plan.disks[osDisk]?.architecture,
  });
  const cores = Number(capability(size, "vCPUs") ?? 0);
  const isSpot = before?.priority?.toLowerCase() === "spot";
  return { demand: { family: size.family, cores, isSpot }, notes: [...notes, ...more] };
}

/** What an interface joins asks for its own permission, in the resource group of that. */
function joining(subnets: readonly string[], groups: readonly string[]): ReadonlyMap<string, ReadonlySet<string>> {
  const needed = new Map<string, Set<string>>();
  const need = (id: string, action: string): void => {
    const group = id.split("/").slice(0, 5).join("/").toLowerCase();
    needed.set(group, (needed.get(group) ?? new Set()).add(action));
  };
  for (const id of subnets) need(id, "Microsoft.Network/virtualNetworks/subnets/join/action");
  for (const id of groups) need(id, "Microsoft.Network/networkSecurityGroups/join/action");
  return needed;
}

const stoppedLate =
  "The platform starts a VM when it makes it: the new one runs for a short time before it is stopped.";

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
