/**
 * What a restore calls the things that it makes. From the restore alone: asked twice, or by another process, the names are the same, and
 * by them everything is found again.
 */
import { createHash } from "node:crypto";
import { FarsideError } from "../../../../core/errors.ts";
import { quote } from "../../../../core/ids.ts";
import { resourceParts, type ResourceGroupId } from "../../../../core/resource-id.ts";
import type { MachineDisk, MachineRestore } from "../../../../ports/machine-target.ts";

/** Disks and network interfaces ("Naming rules and restrictions for Azure resources"). */
const longestName = 80;
const longestPrefix = 60;

/** Where the disks are made: an exchange needs them beside the VM. Throws `not-found` for an exchange without a VM. */
export function groupOf(restore: MachineRestore): ResourceGroupId {
  if (restore.target.kind !== "swap-disks") return restore.target.resourceGroup;
  // Its protection may have ended since.
  const known = resourceParts(restore.disks[0]?.url ?? "");
  const { subscriptionId, resourceGroup } = known ?? partsOfVm(restore);
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}` as ResourceGroupId;
}

export function partsOfVm({ resourceId, vm }: MachineRestore) {
  const parts = resourceId === undefined ? undefined : resourceParts(resourceId);
  if (parts !== undefined && resourceId !== undefined) return { ...parts, id: resourceId };
  throw new FarsideError(
    "not-found",
    `The VM ${vm} is not protected as a VM of Azure now, so that there is none whose disks could be exchanged: restore to a new VM, or to managed disks.`,
    { details: { vm } },
  );
}

/** ARM ids, in the order of the disks. */
export function diskIds(restore: MachineRestore): readonly string[] {
  const prefix = prefixOf(restore);
  const taken = new Set<string>();
  return restore.disks.map((disk) => {
    let name = fitted(`${prefix}-${disk.name}`);
    // Names of disks do not tell upper case from lower.
    if (taken.has(name.toLowerCase())) name = fitted(`${prefix}-${disk.name}-lun-${disk.lun ?? "os"}`);
    taken.add(name.toLowerCase());
    return resourceIn(groupOf(restore), "Microsoft.Compute/disks", name);
  });
}

/** Where a disk stands: as the run's row says, or else by its name. */
export function idOfDisk(restore: MachineRestore, disk: MachineDisk): string {
  return disk.url ?? diskIds(restore)[restore.disks.indexOf(disk)] ?? "";
}

export function vmIdOf(group: ResourceGroupId, name: string): string {
  return resourceIn(group, "Microsoft.Compute/virtualMachines", name);
}

export function interfaceIdOf(group: ResourceGroupId, vmName: string, index: number): string {
  return resourceIn(group, "Microsoft.Network/networkInterfaces", fitted(`${vmName}-nic-${index + 1}`));
}

export function nameOf(id: string): string {
  return id.split("/").at(-1) ?? "";
}

/** ARM's ids do not tell upper case from lower. */
export function isSameId(one: string | undefined, other: string | undefined): boolean {
  return one !== undefined && one.toLowerCase() === other?.toLowerCase();
}

/** Throws `bad-input` for a prefix, or a name of a VM, that Azure would refuse. */
export function checkNames({ target }: MachineRestore): void {
  const { namePrefix } = target;
  if (namePrefix !== undefined && !/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(namePrefix)) {
    refuse(
      `The prefix ${quote(namePrefix)} cannot begin the name of a disk: use letters, digits, ".", "_" and "-", beginning with a letter or digit.`,
    );
  }
  if ((namePrefix?.length ?? 0) > longestPrefix) {
    refuse(`The prefix ${quote(namePrefix ?? "")} is longer than ${longestPrefix} characters.`);
  }
  // A resource of a VM: 1 to 64 for Linux; what Windows allows a computer's name does not matter to one that has its name already.
  if (target.kind === "managed-vm" && !/^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_])?$/.test(target.name)) {
    refuse(
      `${quote(target.name)} cannot be the name of a VM: use 1 to 64 letters, digits, ".", "_" and "-", beginning with a letter or digit and not ending with "." or "-".`,
    );
  }
}

function refuse(message: string): never {
  throw new FarsideError("bad-input", message);
}

function resourceIn(group: ResourceGroupId, type: string, name: string): string {
  return `${group}/providers/${type}/${name}`;
}

function prefixOf({ target, vm, snapshotAt }: MachineRestore): string {
  if (target.namePrefix !== undefined) return target.namePrefix;
  // 2026-11-21T08:30:00.000Z → 20261121T083000Z
  return `${vm}-${snapshotAt.replaceAll(/[-:]|\.\d{3}/g, "")}`;
}

/** A name too long is cut, and told from others by a digest; one must not end with "." or "-". */
function fitted(name: string): string {
  if (name.length <= longestName && /[A-Za-z0-9_]$/.test(name)) return name;
  const digest = createHash("sha256").update(name).digest("hex").slice(0, 8);
  return `${name.slice(0, longestName - digest.length - 1)}-${digest}`;
}
