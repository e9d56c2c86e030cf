/** A VM of Azure as it is now: its power state, what it is going through, its disks, and everything that is needed to make it again. */
import { FarsideError } from "../../../core/errors.ts";
import { parseDiskName, type DiskName } from "../../../core/ids.ts";
import type { TransientCondition } from "../../../core/preflight.ts";
import type { VmResourceId } from "../../../core/resource-id.ts";
import type { PowerState } from "../../../core/vm.ts";
import type { SourceDisk, VmInspection } from "../../../ports/disk-source.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions, requireParts } from "./arm-connection.ts";
import { diskModel, parseModel, vmModel, type DiskModel, type VmModel } from "./arm-models.ts";
import { captured } from "./captured-configuration.ts";

export interface InspectedDisk extends SourceDisk {
  readonly id: string;
  readonly sku: string | undefined;
}

export interface ManagedInspection extends VmInspection {
  readonly disks: readonly InspectedDisk[];
  readonly location: string;
  /** Why the platform does not guarantee that a crash-consistent restore point holds the disks at one instant; undefined where it does. */
  readonly crashDoubt: string | undefined;
}

const compute = { "api-version": apiVersions.compute };

/** Requests: one for the VM with its state, one for its user data, one for its extensions, one for each disk, each network interface and address. */
export async function inspectVm(
  arm: ArmConnection,
  resourceId: VmResourceId,
  signal: AbortSignal,
): Promise<ManagedInspection> {
  const what = `the VM ${nameOf(resourceId)}`;
  const raw = await arm.get(resourceId, { ...compute, $expand: "instanceView" }, `look at ${what}`, signal);
  const vm = parseModel(vmModel, raw, what);
  refuseVm(vm, what);
  const disks: InspectedDisk[] = [];
  const rawDisks: unknown[] = [];
  const conditions = new Set(vmConditions(vm));
  for (const slot of slotsOf(vm)) {
    const rawDisk = await arm.get(slot.id, { "api-version": apiVersions.disk }, `look at a disk of ${what}`, signal);
    const disk = parseModel(diskModel, rawDisk, `the disk ${nameOf(slot.id)}`);
    refuseDisk(disk);
    if (/^(?:creating|updating)$/i.test(disk.properties.provisioningState ?? "")) conditions.add("provisioning");
    rawDisks.push(rawDisk);
    disks.push({
      name: diskName(disk.name, slot, disks),
      role: slot.role,
      ...(slot.lun === undefined ? {} : { lun: slot.lun }),
      sizeBytes: disk.properties.diskSizeBytes,
      logicalSectorSize: disk.properties.creationData?.logicalSectorSize ?? 512,
      identity: disk.properties.uniqueId,
      ...(slot.role === "os" && isTrustedLaunch(vm) ? { hasGuestState: true } : {}),
      id: slot.id,
      sku: disk.sku?.name,
    });
  }
  return {
    powerState: powerOf(vm),
    conditions: [...conditions],
    disks,
    location: vm.location,
    crashDoubt: crashDoubt(vm),
    configuration: await captured(arm, { resourceId, raw, vm, rawDisks }, signal),
  };
}

interface Slot {
  readonly id: string;
  readonly role: "os" | "data";
  readonly lun?: number;
}

function slotsOf(vm: VmModel): readonly Slot[] {
  const { osDisk, dataDisks = [] } = vm.properties.storageProfile;
  const slots = [{ disk: osDisk, role: "os" } as const, ...dataDisks.map((disk) => ({ disk, role: "data" }) as const)];
  return slots.map(({ disk, role }) => {
    const id = disk.managedDisk?.id;
    if (id !== undefined)
      return { id: checkedId(id), role, ...(disk.lun === undefined || role === "os" ? {} : { lun: disk.lun }) };
    throw new FarsideError(
      "not-supported",
      `The ${role === "os" ? "OS disk" : `data disk ${disk.name ?? ""}`} is no managed disk: protect its page blob instead.`,
    );
  });
}

function isTrustedLaunch({ properties }: VmModel): boolean {
  return properties.securityProfile?.securityType === "TrustedLaunch";
}

function checkedId(id: string): string {
  requireParts(id);
  return id;
}

/** Azure's names are longer than ours may be, and two groups may have disks of one name. */
function diskName(name: string, { role, lun }: Slot, others: readonly InspectedDisk[]): DiskName {
  const place = role === "os" ? "os-disk" : `lun-${lun ?? others.length}`;
  try {
    const parsed = parseDiskName(name);
    return others.some((other) => other.name.toLowerCase() === name.toLowerCase()) ? parseDiskName(place) : parsed;
  } catch {
    return parseDiskName(place);
  }
}

function refuseVm(vm: VmModel, what: string): void {
  const { securityProfile, storageProfile } = vm.properties;
  if (securityProfile?.securityType === "ConfidentialVM") {
    refuse(`${what} is a confidential VM: the platform lets nobody read its disks from outside.`);
  }
  if (storageProfile.osDisk.diffDiskSettings?.option !== undefined) {
    refuse(`${what} has an ephemeral OS disk: it lies on the host, and has no snapshots.`);
  }
}

function refuseDisk({ name, properties }: DiskModel): void {
  if ((properties.maxShares ?? 1) > 1) {
    refuse(`the disk ${name} is shared by several VMs: no snapshot of one of them is a consistent one.`);
  }
  if (properties.networkAccessPolicy === "DenyAll") {
    refuse(
      `the disk ${name} cannot be exported: its network access policy is DenyAll. Set it to AllowAll, or to AllowPrivate with a disk access.`,
    );
  }
  if (properties.dataAccessAuthMode === "AzureActiveDirectory") {
    refuse(
      `the disk ${name} is read with a token besides its SAS (data access by Microsoft Entra ID), which is not supported yet.`,
    );
  }
}

function refuse(why: string): never {
  throw new FarsideError("not-supported", `It cannot be backed up: ${why}`);
}

function powerOf(vm: VmModel): PowerState {
  const codes = statusCodes(vm);
  if (codes.includes("powerstate/running")) return "running";
  return codes.includes("powerstate/stopped") || codes.includes("powerstate/deallocated") ? "stopped" : "unknown";
}

function vmConditions(vm: VmModel): readonly TransientCondition[] {
  const states = [vm.properties.provisioningState?.toLowerCase(), ...statusCodes(vm)];
  if (states.some((state) => state?.endsWith("migrating"))) return ["migration-in-progress"];
  const changing = ["creating", "updating", "deleting", "starting", "stopping", "deallocating"];
  return states.some((state) => changing.some((word) => state === word || state?.endsWith(`/${word}`) === true))
    ? ["provisioning"]
    : [];
}

/** The documented cases (restore points, "crash consistency"): host caching of writes, and the newest sizes with several data disks. */
function crashDoubt(vm: VmModel): string | undefined {
  const { storageProfile, hardwareProfile } = vm.properties;
  const { osDisk, dataDisks = [] } = storageProfile;
  if ([osDisk, ...dataDisks].some(({ caching }) => caching === "ReadWrite")) {
    return "A disk's host cache holds writes (ReadWrite): the platform does not guarantee the order of writes across the disks.";
  }
  const version = Number(/_v(\d+)$/.exec(hardwareProfile?.vmSize ?? "")?.[1] ?? 0);
  return version >= 6 && dataDisks.length > 1
    ? "Of this size with several data disks the platform does not guarantee the order of writes across the disks."
    : undefined;
}

function statusCodes(vm: VmModel): readonly string[] {
  return (vm.properties.instanceView?.statuses ?? []).map(({ code }) => code.toLowerCase());
}

function nameOf(id: string): string {
  return id.split("/").at(-1) ?? "";
}
