/** What a restore will make, from the restore, the captured configuration and, for an exchange, the VM as it stands. */
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { DiskWishes } from "../../../../core/machine-restore.ts";
import type { MachineDisk, MachineRestore } from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { requireParts } from "../arm-connection.ts";
import { capturedDiskOf, capturedOf, slotOf, type CapturedDisk, type CapturedMachine } from "./captured-machine.ts";
import { seeDisk, seeVm, type SeenDisk, type SeenVm } from "./look-at.ts";
import { allOf } from "./make-disks.ts";
import { nameOf, partsOfVm } from "./names.ts";
import { lostTags, ownTags, tagsOf } from "./own-tags.ts";
import { planDisk, type PlannedDisk } from "./plan-disk.ts";
import { isSameRegion } from "./region-name.ts";

export interface RestorePlan {
  readonly location: string;
  /** Of the VM; undefined where disks alone are made. */
  readonly zone: string | undefined;
  /** Undefined where another kind of source captured it. */
  readonly captured: CapturedMachine | undefined;
  /** In the order of the restore's disks. */
  readonly disks: readonly PlannedDisk[];
  /** What the captured configuration refers to can be used: it is of the same region and subscription. */
  readonly isAtHome: boolean;
  /** Of an exchange. */
  readonly standing?: StandingVm;
  readonly notes: readonly string[];
}

export interface StandingVm {
  readonly vm: SeenVm;
  /** The disk in the place of each of the restore's; undefined where there is none now. */
  readonly formers: readonly (SeenDisk | undefined)[];
}

/** Requests: none but for an exchange, which needs one for the VM and one for each disk. */
export async function planRestore(
  arm: ArmConnection,
  restore: MachineRestore,
  signal: AbortSignal,
): Promise<RestorePlan> {
  return restore.target.kind === "swap-disks" ? planExchange(arm, restore, signal) : planNew(restore);
}

function planNew(restore: MachineRestore): RestorePlan {
  const { target, disks } = restore;
  if (target.kind === "swap-disks") throw new TypeError("An exchange makes nothing new.");
  const notes: string[] = [];
  const captured = target.kind === "managed-vm" ? capturedOf(restore) : readable(restore, notes);
  const location = target.location ?? captured?.vm.location;
  if (location === undefined) {
    throw new FarsideError(
      "bad-input",
      "This restore point knows no region, for its disks were no managed disks: say where the VM is made with --location.",
    );
  }
  const home = captured === undefined ? undefined : requireParts(captured.vm.id).subscriptionId;
  const [, , subscriptionId] = target.resourceGroup.split("/");
  const isAtHome = isSameRegion(captured?.vm.location, location) && isSame(home, subscriptionId);
  const zone = target.kind === "managed-vm" ? zoneOfVm(target, captured, isAtHome) : undefined;
  const planned = disks.map((disk) => {
    const before = captured === undefined ? undefined : capturedDiskOf(captured, disk);
    return planDisk(disk, zone === undefined ? target : { ...target, zone }, {
      location,
      before,
      isAtHome,
      osType: restore.osType,
      tags: tagsOf(restore, before?.tags ?? {}),
    });
  });
  notes.push(...planned.flatMap((one) => one.notes), ...tagNotes(captured?.disks ?? []));
  return { location, zone, captured, disks: planned, isAtHome, notes };
}

/** Disks can be made without the configuration: only what they were is not known then. */
function readable(restore: MachineRestore, notes: string[]): CapturedMachine | undefined {
  try {
    return capturedOf(restore);
  } catch (error) {
    if (!hasCode(error, "refused")) throw error;
    notes.push(
      "The configuration that was captured with this restore point cannot be read: the disks are made as the platform makes them by default.",
    );
    return undefined;
  }
}

/** `none` where its disks must not be in one either. */
function zoneOfVm(wishes: DiskWishes, captured: CapturedMachine | undefined, isAtHome: boolean): string | undefined {
  if (wishes.zone !== undefined) return wishes.zone;
  return isAtHome ? (captured?.vm.zones?.[0] ?? "none") : "none";
}

async function planExchange(arm: ArmConnection, restore: MachineRestore, signal: AbortSignal): Promise<RestorePlan> {
  const { target, disks } = restore;
  if (target.kind !== "swap-disks") throw new TypeError("Nothing is exchanged.");
  const { id } = partsOfVm(restore);
  const vm = await seeVm(arm, id, signal);
  if (vm === undefined) {
    throw new FarsideError(
      "not-found",
      `The VM ${nameOf(id)} is not there any more: restore to a new VM, or to managed disks.`,
      { details: { id } },
    );
  }
  const formers = await allOf(disks, (disk) => formerOf(arm, vm, disk, signal));
  const notes: string[] = [];
  const captured = readable(restore, notes);
  const planned = disks.map((disk, index) => {
    const former = formers[index];
    const before = former ?? (captured === undefined ? undefined : capturedDiskOf(captured, disk));
    if (former === undefined) {
      notes.push(
        `Disk ${disk.name}: nothing is attached in its place (LUN ${disk.lun ?? "?"}) now: it is attached there.`,
      );
    }
    const more = former === undefined ? {} : { [ownTags.former]: placeOf(former.id) };
    return planDisk(
      disk,
      {},
      {
        location: vm.location,
        before,
        isAtHome: true,
        osType: vm.properties.storageProfile.osDisk.osType ?? restore.osType,
        tags: tagsOf(restore, before?.tags ?? {}, more),
        zone: vm.zones?.[0],
      },
    );
  });
  notes.push(...planned.flatMap((one) => one.notes), ...tagNotes(formers));
  const zone = vm.zones?.[0];
  return { location: vm.location, zone, captured, disks: planned, isAtHome: true, standing: { vm, formers }, notes };
}

async function formerOf(arm: ArmConnection, vm: SeenVm, disk: MachineDisk, signal: AbortSignal) {
  const slot = slotOf(vm, disk);
  if (slot === undefined) return undefined;
  const id = slot.managedDisk?.id;
  const found = id === undefined ? undefined : await seeDisk(arm, id, signal);
  if (found !== undefined) return found;
  throw new FarsideError("not-supported", `The disk ${disk.name} of the VM ${nameOf(vm.id)} is no managed disk now.`);
}

/** Short enough for the value of a tag (256 characters), in the VM's own subscription. */
export function placeOf(diskId: string): string {
  const { resourceGroup, path } = requireParts(diskId);
  return `${resourceGroup}/${path[0]?.[1] ?? ""}`;
}

function tagNotes(disks: readonly (CapturedDisk | undefined)[]): string[] {
  const lost = disks.some((disk) => lostTags(disk?.tags ?? {}) > 0);
  return lost
    ? ["A disk had so many tags that there is no room for those of the restore: the last ones are left out."]
    : [];
}

function isSame(one: string | undefined, other: string | undefined): boolean {
  return one?.toLowerCase() === other?.toLowerCase();
}
