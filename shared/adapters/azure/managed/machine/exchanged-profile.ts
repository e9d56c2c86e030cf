/** The storage profile of a VM with other disks in some of its slots. Pure. */
import type { DiskRole } from "../../../../core/vault/manifest.ts";
import type { SeenVm } from "./look-at.ts";
import { nameOf } from "./names.ts";
import type { Json } from "./plan-disk.ts";

export interface Placement {
  readonly role: DiskRole;
  readonly lun?: number | undefined;
  /** Undefined: nothing was there. */
  readonly diskId: string | undefined;
}

type Slot = SeenVm["properties"]["storageProfile"]["osDisk"];

/** What belongs to the disk and not to its slot: the platform reads it from the disk. */
const ofDisk = new Set([
  "diskSizeGB",
  "diskIOPSReadWrite",
  "diskMBpsReadWrite",
  "image",
  "vhd",
  "toBeDetached",
  "sourceResource",
]);

/** Only the parts that change are in it; a list of data disks is always whole, for it replaces the one that stands. */
export function exchangedProfile({ properties }: SeenVm, placements: readonly Placement[]): Json {
  const { osDisk, dataDisks = [] } = properties.storageProfile;
  const os = placements.find(({ role }) => role === "os");
  const data = placements.filter(({ role }) => role === "data");
  const kept = dataDisks.filter((slot) => !data.some(({ lun }) => lun === slot.lun));
  const placed = data.flatMap(({ lun, diskId }): Json[] => {
    if (diskId === undefined) return [];
    const before = dataDisks.find((slot) => slot.lun === lun);
    return [{ lun, ...withDisk(before ?? { deleteOption: "Detach" }, diskId), createOption: "Attach" }];
  });
  return {
    ...(os?.diskId === undefined ? {} : { osDisk: withDisk(osDisk, os.diskId) }),
    ...(data.length === 0 ? {} : { dataDisks: [...kept, ...placed] }),
  };
}

/** Caching, write acceleration and the like stay as the slot has them; so does how the OS disk was once made, which cannot be changed. */
function withDisk(slot: Partial<Slot>, diskId: string): Json {
  const kept = Object.entries(slot).filter(([name]) => !ofDisk.has(name));
  return { ...Object.fromEntries(kept), name: nameOf(diskId), managedDisk: { id: diskId } };
}
