/** What the flags say of a restore to the platform. Names and ids are checked by the service, in the same words for everybody. */
import type { z } from "zod";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseResourceGroupId } from "../../shared/core/resource-id.ts";
import type { restoreBodySchema } from "../../shared/wire/http/restore.ts";
import { refuse } from "./refuse-flags.ts";
import type { RestoreFlags } from "./restore.ts";

type Target = z.input<typeof restoreBodySchema>["target"];
type Wishes = Omit<Extract<Target, { kind: "managed-disks" }>, "kind" | "resourceGroup" | "location">;

/** Undefined for another target. Throws `bad-input` for a flag that belongs to another one, or one that is missing. */
export function machineTargetOf(flags: RestoreFlags): Target | undefined {
  if (flags.toManagedDisks !== undefined) return managedDisks(flags, flags.toManagedDisks);
  if (flags.toVm !== undefined) return managedVm(flags, flags.toVm);
  refuse("--to-managed-disks and --to-vm", {
    "--location": flags.location,
    "--sku": flags.sku,
    "--zone": flags.zone,
    "--encryption-set": flags.encryptionSet,
  });
  refuseOfVm(flags);
  if (flags.swapDisks !== undefined) return { kind: "swap-disks", mayStop: flags.stop === true, ...prefixOf(flags) };
  refuse("--swap-disks", { "--stop": flags.stop });
  refuse("--to-managed-disks, --to-vm and --swap-disks", { "--name-prefix": flags.namePrefix });
  return undefined;
}

function managedDisks(flags: RestoreFlags, group: string): Target {
  refuseOfVm(flags);
  refuse("--swap-disks", { "--stop": flags.stop });
  const { location } = flags;
  const resourceGroup = groupId("--to-managed-disks", group);
  if (location === undefined) throw missing("--location", "a region, e.g. --location westeurope");
  return { kind: "managed-disks", resourceGroup, location, ...wishesOf(flags) };
}

function managedVm(flags: RestoreFlags, name: string): Target {
  refuse("--swap-disks", { "--stop": flags.stop });
  const { resourceGroup, location, size, subnet, nsg, keepAddresses, leaveStopped } = flags;
  if (resourceGroup === undefined) throw missing("--resource-group", `the group of the new VM, ${shownGroup}`);
  return {
    kind: "managed-vm",
    name,
    resourceGroup: groupId("--resource-group", resourceGroup),
    ...(location === undefined ? {} : { location }),
    ...(size === undefined ? {} : { size }),
    ...(subnet === undefined ? {} : { subnetId: subnet }),
    ...(nsg === undefined ? {} : { networkSecurityGroupId: nsg }),
    ...(keepAddresses === undefined ? {} : { keepPrivateAddresses: true }),
    ...(leaveStopped === undefined ? {} : { leaveStopped: true }),
    ...wishesOf(flags),
  };
}

function refuseOfVm(flags: RestoreFlags): void {
  refuse("--to-vm", {
    "--resource-group": flags.resourceGroup,
    "--size": flags.size,
    "--subnet": flags.subnet,
    "--nsg": flags.nsg,
    "--keep-addresses": flags.keepAddresses,
    "--leave-stopped": flags.leaveStopped,
  });
}

function wishesOf(flags: RestoreFlags): Wishes {
  const { sku, zone, encryptionSet } = flags;
  return {
    ...(sku === undefined ? {} : { sku }),
    ...(zone === undefined ? {} : { zone: zoneOf(zone) }),
    ...(encryptionSet === undefined ? {} : { diskEncryptionSetId: encryptionSet }),
    ...prefixOf(flags),
  };
}

function prefixOf({ namePrefix }: RestoreFlags): Pick<Wishes, "namePrefix"> {
  return namePrefix === undefined ? {} : { namePrefix };
}

const zones = ["1", "2", "3", "none"] as const;

function zoneOf(text: string): (typeof zones)[number] {
  const zone = zones.find((one) => one === text);
  if (zone !== undefined) return zone;
  throw new FarsideError("bad-input", `"${text}" is no availability zone: give 1, 2, 3 or none.`);
}

const shownGroup = "/subscriptions/<id>/resourceGroups/<name>";

/** A bare name could be of any subscription. */
function groupId(flag: string, text: string): string {
  if (text.includes("/")) return parseResourceGroupId(text);
  throw new FarsideError(
    "bad-input",
    `${flag} takes the resource id of a resource group, for a name alone does not say in which subscription: give ${shownGroup.replace("<name>", text)}, as "az group show --name ${text} --query id" prints it.`,
    { details: { value: text.slice(0, 200) } },
  );
}

function missing(flag: string, what: string): FarsideError {
  return new FarsideError("bad-input", `${flag} is missing: give ${what}.`);
}
