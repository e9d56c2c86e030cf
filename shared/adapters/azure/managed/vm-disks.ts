/**
 * The disks of a VM of Azure as they are now: which of them are backed up, which are left out, and why one cannot be backed up.
 *
 * 1. Every disk is read, for its tags may leave it out, and the captured configuration tells of all.
 * 2. What cannot be backed up, or cannot be read, keeps the VM from being backed up only where it is not left out.
 */
import { selectDisks, type DiskRules, type SelectableDisk } from "../../../core/disk-selection.ts";
import { FarsideError } from "../../../core/errors.ts";
import { parseDiskName, type DiskName } from "../../../core/ids.ts";
import type { LeftDisk, SourceDisk } from "../../../ports/disk-source.ts";
import { apiVersions, requireParts, type ArmConnection } from "./arm-connection.ts";
import { diskModel, parseModel, type DiskModel, type VmModel } from "./arm-models.ts";

export interface InspectedDisk extends SourceDisk {
  readonly id: string;
  readonly sku: string | undefined;
}

export interface LeftManagedDisk extends LeftDisk {
  readonly id: string;
  readonly role: "os" | "data";
  readonly lun?: number;
}

export interface VmDisks {
  readonly disks: readonly InspectedDisk[];
  readonly left: readonly LeftManagedDisk[];
  readonly idleRules: readonly string[];
  /** Of all that could be read. */
  readonly rawDisks: readonly unknown[];
  /** Ids of those that could not, and are left out. */
  readonly unread: readonly string[];
  /** One of those that are backed up is being made or changed. */
  readonly isChanging: boolean;
}

interface Slot {
  readonly id: string;
  readonly role: "os" | "data";
  readonly lun?: number;
}

type Read = { readonly kind: "read"; readonly raw: unknown; readonly disk: DiskModel };
type Unread = { readonly kind: "unread"; readonly error: FarsideError };

interface Seen extends SelectableDisk {
  readonly slot: Slot;
  readonly name: DiskName;
  readonly found: Read | Unread;
}

/** Requests: one for each disk. Throws `bad-input` where no disk is left. */
export async function readVmDisks(
  arm: ArmConnection,
  vm: VmModel,
  rules: DiskRules,
  signal: AbortSignal,
): Promise<VmDisks> {
  const what = `the VM ${nameOf(vm.id)}`;
  const seen: Seen[] = [];
  for (const slot of slotsOf(vm)) {
    const found = await read(arm, slot.id, what, signal);
    const own = nameOf(slot.id);
    const name = diskName(own, slot, seen);
    const tags = found.kind === "read" ? (found.disk.tags ?? {}) : {};
    seen.push({ slot, name, names: [own, name], lun: slot.lun, tags, found });
  }
  const { chosen, left, idle } = selectDisks(seen, rules);
  if (chosen.length === 0) {
    const why = left.map(({ disk, reason }) => `${disk.name} is ${reason}`).join("; ");
    throw new FarsideError("bad-input", `No disk of ${what} is left to back up: ${why}. Leave at least one.`);
  }
  const disks = chosen.map((one) => ({ one, disk: requireRead(one) }));
  if (vm.properties.storageProfile.osDisk.diffDiskSettings?.option !== undefined) {
    if (chosen.some(({ slot }) => slot.role === "os"))
      refuse(
        `${what} has an ephemeral OS disk: it lies on the host, and has no snapshots. Its data disks can be backed up without it: exclude it.`,
      );
  }
  for (const { disk } of disks) refuseDisk(disk);
  return {
    disks: disks.map(({ one, disk }) => inspected(one, disk, isTrustedLaunch(vm))),
    left: left.map(({ disk: { name, slot }, reason }) => ({ name, reason, ...slot })),
    idleRules: idle,
    rawDisks: seen.flatMap(({ found }) => (found.kind === "read" ? [found.raw] : [])),
    unread: seen.flatMap(({ found, slot }) => (found.kind === "unread" ? [slot.id] : [])),
    isChanging: disks.some(({ disk }) => /^(?:creating|updating)$/i.test(disk.properties.provisioningState ?? "")),
  };
}

async function read(arm: ArmConnection, id: string, what: string, signal: AbortSignal): Promise<Read | Unread> {
  try {
    const raw = await arm.get(id, { "api-version": apiVersions.disk }, `look at a disk of ${what}`, signal);
    return { kind: "read", raw, disk: parseModel(diskModel, raw, `the disk ${nameOf(id)}`) };
  } catch (error) {
    if (!(error instanceof FarsideError) || error.advice === "retry") throw error;
    return { kind: "unread", error };
  }
}

function requireRead({ found }: Seen): DiskModel {
  if (found.kind === "unread") throw found.error;
  return found.disk;
}

function isTrustedLaunch({ properties }: VmModel): boolean {
  return properties.securityProfile?.securityType === "TrustedLaunch";
}

function inspected({ name, slot }: Seen, { properties, sku }: DiskModel, isTrusted: boolean): InspectedDisk {
  return {
    name,
    role: slot.role,
    ...(slot.lun === undefined ? {} : { lun: slot.lun }),
    sizeBytes: properties.diskSizeBytes,
    logicalSectorSize: properties.creationData?.logicalSectorSize ?? 512,
    identity: properties.uniqueId,
    ...(slot.role === "os" && isTrusted ? { hasGuestState: true } : {}),
    id: slot.id,
    sku: sku?.name,
  };
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

function checkedId(id: string): string {
  requireParts(id);
  return id;
}

/** Azure's names are longer than ours may be, and two groups may have disks of one name. */
function diskName(name: string, { role, lun }: Slot, others: readonly { readonly name: DiskName }[]): DiskName {
  const place = role === "os" ? "os-disk" : `lun-${lun ?? others.length}`;
  try {
    const parsed = parseDiskName(name);
    return others.some((other) => other.name.toLowerCase() === name.toLowerCase()) ? parseDiskName(place) : parsed;
  } catch {
    return parseDiskName(place);
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

export function refuse(why: string): never {
  throw new FarsideError("not-supported", `It cannot be backed up: ${why}`);
}

export function nameOf(id: string): string {
  return id.split("/").at(-1) ?? "";
}
