/** The request that makes a VM of restored disks, from its captured configuration and what was asked to be otherwise. Pure. */
import { FarsideError } from "../../../../core/errors.ts";
import type { ManagedVmTarget } from "../../../../core/machine-restore.ts";
import type { MachineDisk, MachineRestore } from "../../../../ports/machine-target.ts";
import { slotOf, type CapturedVm } from "./captured-machine.ts";
import { nameOf } from "./names.ts";
import { tagsOf } from "./own-tags.ts";
import type { Json } from "./plan-disk.ts";
import { isUsable, type PlannedInterface, type Reach } from "./plan-interfaces.ts";

export interface VmFacts extends Reach {
  readonly zone: string | undefined;
  /** ARM ids, in the order of the restore's disks. */
  readonly disks: readonly string[];
  readonly skus: readonly (string | undefined)[];
  readonly interfaces: readonly PlannedInterface[];
}

export interface PlannedVm {
  readonly size: string;
  readonly body: Json;
  readonly notes: readonly string[];
}

/** Throws `bad-input` for what must be named, and `not-supported` for a VM that cannot be made of this point. */
export function planVm(restore: MachineRestore, target: ManagedVmTarget, facts: VmFacts): PlannedVm {
  const { captured, location } = facts;
  const vm = captured?.vm;
  const properties = vm?.properties;
  const notes: string[] = [];
  const note = (text: string): void => void notes.push(text);
  refuseVm(restore, vm);
  const size = sizeOf(target, vm);
  const zone = facts.zone === "none" ? undefined : facts.zone;
  const isSpot = properties?.priority?.toLowerCase() === "spot";
  generalNotes(facts, note);
  return {
    size,
    notes,
    body: {
      location,
      tags: tagsOf(restore, vm?.tags ?? {}),
      ...(zone === undefined ? {} : { zones: [zone] }),
      ...(vm?.plan === undefined ? {} : { plan: vm.plan }),
      ...identityOf(vm, target, facts, note),
      properties: {
        hardwareProfile: {
          vmSize: size,
          ...(size === properties?.hardwareProfile?.vmSize
            ? named("vmSizeProperties", properties.hardwareProfile.vmSizeProperties)
            : {}),
        },
        storageProfile: storageOf(restore, vm, facts, note),
        networkProfile: {
          networkInterfaces: facts.interfaces.map(({ id, isPrimary }) => ({
            id,
            properties: { primary: isPrimary, deleteOption: "Detach" },
          })),
        },
        ...securityOf(restore, vm),
        ...capabilitiesOf(vm, facts),
        ...bootDiagnosticsOf(vm, note),
        ...placementOf(vm, target, facts, zone, note),
        ...(isSpot
          ? { priority: "Spot", ...named("evictionPolicy", properties?.evictionPolicy), ...billingOf(vm) }
          : {}),
        ...named("licenseType", properties?.licenseType),
        ...named("scheduledEventsProfile", properties?.scheduledEventsProfile),
        ...named("userData", captured?.userData),
      },
    },
  };
}

type Note = (text: string) => void;

function named(name: string, value: unknown): Json {
  return value === undefined ? {} : { [name]: value };
}

function refuseVm({ disks, vm: vmName }: MachineRestore, vm: CapturedVm | undefined): void {
  const osDisk = disks.find(({ role }) => role === "os");
  if (osDisk === undefined) {
    throw new FarsideError(
      "bad-input",
      `A VM starts from its OS disk, which is not among the disks to be restored: choose it as well, or, where the backup leaves it out, restore to managed disks.`,
    );
  }
  if (/^TrustedLaunch$/i.test(vm?.properties.securityProfile?.securityType ?? "") && osDisk.guestState === undefined) {
    throw new FarsideError("not-supported", noGuestState(vmName));
  }
}

export function noGuestState(vmName: string): string {
  return `${vmName} is a trusted-launch VM, and this restore point does not hold the state of its virtual TPM and firmware, without which the platform makes no such VM of its disks: restore it as managed disks, and make a VM with standard security of them. It starts unless it was locked to its TPM (BitLocker: have the recovery key at hand).`;
}

function sizeOf(target: ManagedVmTarget, vm: CapturedVm | undefined): string {
  const size = target.size ?? vm?.properties.hardwareProfile?.vmSize;
  if (size !== undefined) return size;
  throw new FarsideError("bad-input", "This restore point knows no size for the new VM: name one with --size.");
}

/** Throws `bad-input` where nobody knows the operating system, which the platform must be told. */
function osTypeOf(vm: CapturedVm | undefined, { osType }: MachineRestore): string {
  const known = vm?.properties.storageProfile.osDisk.osType ?? osType;
  if (known !== undefined) return /^windows$/i.test(known) ? "Windows" : "Linux";
  throw new FarsideError(
    "bad-input",
    "This restore point does not know the VM's operating system, which the platform must be told: restore it as managed disks, and make the VM of them by hand.",
  );
}

function storageOf(restore: MachineRestore, vm: CapturedVm | undefined, facts: VmFacts, note: Note): Json {
  const { disks } = restore;
  const attached = (disk: MachineDisk): Json => {
    const before = vm === undefined ? undefined : slotOf(vm, disk);
    const id = facts.disks[disks.indexOf(disk)] ?? "";
    return {
      name: nameOf(id),
      createOption: "Attach",
      ...named("caching", before?.caching),
      ...named("writeAcceleratorEnabled", before?.writeAcceleratorEnabled),
      deleteOption: "Detach",
      managedDisk: { id },
    };
  };
  const taken = new Set(disks.flatMap(({ lun }) => lun ?? []));
  const freeLun = (): number => {
    let lun = 0;
    while (taken.has(lun)) lun++;
    taken.add(lun);
    return lun;
  };
  const [osDisk] = disks.filter(({ role }) => role === "os");
  const dataDisks = disks.filter(({ role }) => role === "data");
  const had = vm?.properties.storageProfile.dataDisks ?? [];
  const absent = had.filter(({ lun }) => !dataDisks.some((disk) => disk.lun === lun));
  if (absent.length > 0) {
    const shown = absent.map(({ lun, managedDisk }) => `${lun ?? "?"} (${nameOf(managedDisk?.id ?? "unknown")})`);
    note(`Not restored, and so not attached: the data disks at LUN ${shown.join(", ")}.`);
  }
  return {
    ...named("diskControllerType", vm?.properties.storageProfile.diskControllerType),
    osDisk: { osType: osTypeOf(vm, restore), ...(osDisk === undefined ? {} : attached(osDisk)) },
    dataDisks: dataDisks.map((disk) => ({ lun: disk.lun ?? freeLun(), ...attached(disk) })),
  };
}

function securityOf({ disks }: MachineRestore, vm: CapturedVm | undefined): Json {
  const { encryptionAtHost, uefiSettings } = vm?.properties.securityProfile ?? {};
  const isTrusted = disks.some(({ guestState }) => guestState !== undefined);
  const profile = {
    ...(encryptionAtHost === true ? { encryptionAtHost } : {}),
    ...(isTrusted ? { securityType: "TrustedLaunch", ...named("uefiSettings", uefiSettings) } : {}),
  };
  return Object.keys(profile).length === 0 ? {} : { securityProfile: profile };
}

function capabilitiesOf(vm: CapturedVm | undefined, { skus }: VmFacts): Json {
  const isUltra = skus.some((sku) => /^UltraSSD_/i.test(sku ?? ""));
  const { additionalCapabilities = {} } = vm?.properties ?? {};
  const all = { ...additionalCapabilities, ...(isUltra ? { ultraSSDEnabled: true } : {}) };
  return Object.keys(all).length === 0 ? {} : { additionalCapabilities: all };
}

function bootDiagnosticsOf(vm: CapturedVm | undefined, note: Note): Json {
  const { enabled = false, storageUri } = vm?.properties.diagnosticsProfile?.bootDiagnostics ?? {};
  if (!enabled) return {};
  if (storageUri !== undefined) {
    note("Boot diagnostics go to the platform's own storage, no longer to a storage account.");
  }
  return { diagnosticsProfile: { bootDiagnostics: { enabled: true } } };
}

/** A fraction was captured as its text. */
function billingOf(vm: CapturedVm | undefined): Json {
  const maxPrice = vm?.properties.billingProfile?.["maxPrice"];
  return maxPrice === undefined ? {} : { billingProfile: { maxPrice: Number(maxPrice) } };
}

function identityOf(vm: CapturedVm | undefined, target: ManagedVmTarget, facts: VmFacts, note: Note): Json {
  const { type = "", userAssignedIdentities = {} } = vm?.identity ?? {};
  const isSystem = /SystemAssigned/i.test(type);
  if (isSystem) note("The VM gets a new system-assigned identity: give it the roles that the old one has.");
  const all = Object.keys(userAssignedIdentities);
  const kept = all.filter((id) => isUsable(id, target, facts));
  const lost = all.filter((id) => !kept.includes(id));
  if (lost.length > 0) {
    note(
      `The identities ${lost.map(nameOf).join(", ")} are left out: they are of another region or subscription, gone, or this service must not assign them.`,
    );
  }
  const types = [...(isSystem ? ["SystemAssigned"] : []), ...(kept.length > 0 ? ["UserAssigned"] : [])];
  if (types.length === 0) return {};
  const users = kept.length === 0 ? {} : { userAssignedIdentities: Object.fromEntries(kept.map((id) => [id, {}])) };
  return { identity: { type: types.join(", "), ...users } };
}

/** Where in the region: only what the VM was given, and only where that can still be meant. */
function placementOf(
  vm: CapturedVm | undefined,
  target: ManagedVmTarget,
  facts: VmFacts,
  zone: string | undefined,
  note: Note,
): Json {
  const properties = vm?.properties;
  const { availabilitySet, proximityPlacementGroup, host, hostGroup } = properties ?? {};
  const kept: Record<string, unknown> = {};
  const keep = (name: string, what: string, reference: { readonly id: string } | undefined, fits: boolean): void => {
    if (reference === undefined) return;
    if (isUsable(reference.id, target, facts) && fits) kept[name] = { id: reference.id };
    else
      note(
        `The ${what} ${nameOf(reference.id)} is left out: it is gone, of another region, subscription or resource group, goes with no zone, or this service must not see it.`,
      );
  };
  // A VM is in the resource group of its availability set, and in none where it is in a zone ("Availability sets").
  const group = availabilitySet?.id.split("/").slice(0, 5).join("/");
  const isSameGroup = group?.toLowerCase() === target.resourceGroup.toLowerCase();
  keep("availabilitySet", "availability set", availabilitySet, isSameGroup && zone === undefined);
  keep("proximityPlacementGroup", "proximity placement group", proximityPlacementGroup, true);
  keep("host", "dedicated host", host, true);
  if (host === undefined) keep("hostGroup", "host group", hostGroup, true);
  return kept;
}

function generalNotes({ captured }: VmFacts, note: Note): void {
  if (captured === undefined) return;
  const { virtualMachineScaleSet, capacityReservation } = captured.vm.properties;
  if (virtualMachineScaleSet !== undefined) {
    note(`The VM was part of the scale set ${nameOf(virtualMachineScaleSet.id)}: the new one stands alone.`);
  }
  if (capacityReservation?.capacityReservationGroup !== undefined) {
    note("The VM had reserved capacity: the new one takes none of it.");
  }
  const extensions = (captured.extensions ?? []).map(({ name }) => name);
  if (extensions.length > 0) {
    note(
      `The VM's extensions are not made again, for their protected settings cannot be captured: ${extensions.join(", ")}.`,
    );
  }
  if (captured.missing !== undefined) {
    note(`When the VM was captured, some of it could not be read: ${captured.missing.map(nameOf).join(", ")}.`);
  }
}
