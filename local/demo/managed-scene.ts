/** The VM of the demo: three managed disks made of images by direct upload, and the guest that writes to them. */
import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { apiVersions, type LocalArmClient } from "../arm/local-client.ts";
import { makeNetwork } from "../arm/samples/sample-network.ts";
import { groupId, location } from "../arm/samples/sample-vms.ts";
import { uploadDisk } from "../arm/samples/upload-disk.ts";
import { findAppFolder } from "../stack/app-build.ts";
import { managedDisks, ManagedGuest, type ManagedDisk, type OfDisks } from "./managed-guest.ts";
import { makeOsDisk, type OsDisk } from "./os-disk.ts";
import type { Stage } from "./stage.ts";

const mib = 1024 * 1024;
/** Of a disk made by upload. */
const leastDiskMiB = 20;

export interface ManagedScene {
  readonly guest: ManagedGuest;
  /** The guest's own image of it. */
  readonly os: OsDisk;
}

export async function setManagedScene(stage: Stage, arm: LocalArmClient, vmId: string): Promise<ManagedScene> {
  const { folder } = stage;
  const images = { os: join(folder, "os.img"), "data-a": join(folder, "a.img"), "data-b": join(folder, "b.img") };
  const os = await makeImages(stage, images);
  const disks = `${groupId}/providers/Microsoft.Compute/disks`;
  const ids = { os: `${disks}/os`, "data-a": `${disks}/data-a`, "data-b": `${disks}/data-b` };
  for (const disk of managedDisks) {
    const top = { location, sku: { name: "Premium_LRS" } };
    const properties = disk === "os" ? { osType: "Linux", hyperVGeneration: "V2" } : {};
    await uploadDisk(arm, { id: ids[disk], top, properties, image: images[disk] }, stage.signal);
  }
  await makeVm(arm, vmId, ids);
  return { guest: new ManagedGuest(arm, ids, images), os };
}

/** The OS disk's is `folder/os.img`. */
async function makeImages({ folder, sizeMiB, print }: Stage, images: OfDisks): Promise<OsDisk> {
  const os = await makeOsDisk(folder, sizeMiB, join(findAppFolder(), "node_modules"));
  if (os.fileSystem === "pattern")
    print("!! mkfs.ext4 and debugfs are not installed: the OS disk holds a plain pattern, not a file system.");
  for (const disk of ["data-a", "data-b"] as const) {
    const file = await open(images[disk], "w");
    await file.truncate(Math.max(sizeMiB / 4, leastDiskMiB) * mib);
    // The first MiB is the stripe's.
    const content = randomBytes(4 * mib);
    await file.write(content, 0, content.length, 2 * mib);
    await file.close();
  }
  return os;
}

async function makeVm(arm: LocalArmClient, vmId: string, ids: OfDisks): Promise<void> {
  const nic = await makeNetwork(arm, { name: vmId.split("/").at(-1) ?? "", groupId, location });
  const attached = (disk: ManagedDisk) => ({ name: disk, createOption: "Attach", managedDisk: { id: ids[disk] } });
  await arm.put(vmId, apiVersions.machines, {
    location,
    properties: {
      hardwareProfile: { vmSize: "Standard_D2s_v5" },
      storageProfile: {
        osDisk: { ...attached("os"), osType: "Linux" },
        dataDisks: [
          { ...attached("data-a"), lun: 0 },
          { ...attached("data-b"), lun: 1 },
        ],
      },
      networkProfile: { networkInterfaces: [{ id: nic, properties: { primary: true } }] },
    },
  });
}
