/** A restore as a new VM in another region, by direct upload, and what its disks hold then. */
import { open } from "node:fs/promises";
import { apiVersions, type LocalArmClient } from "../arm/local-client.ts";
import { asList, asObject, asText } from "../arm/resources.ts";
import { makeSubnet } from "../arm/samples/sample-network.ts";
import { sampleSubscription } from "../arm/samples/sample-vms.ts";
import type { DemoApi } from "./api.ts";

export const restoreLocation = "northeurope";
const name = "demo-vm-restored";
const groupId = `/subscriptions/${sampleSubscription}/resourceGroups/recovery`;

export interface RestoredVm {
  readonly id: string;
  readonly location: string;
  /** ARM ids by the names of the disks in the restore point. */
  readonly disks: ReadonlyMap<string, string>;
}

export async function restoreAsVm(
  api: DemoApi,
  arm: LocalArmClient,
  vm: string,
  restorePointId: string,
): Promise<RestoredVm> {
  await arm.put(groupId, apiVersions.groups, { location: restoreLocation });
  const subnetId = await makeSubnet(arm, { name: "recovery", groupId, location: restoreLocation });
  const target = {
    kind: "managed-vm",
    name,
    resourceGroup: groupId,
    location: restoreLocation,
    subnetId,
    networkSecurityGroupId: "none",
  };
  const { runId } = await api.post<{ runId: string }>(`vms/${vm}/restores`, { restorePointId, target });
  const run = await api.finished(runId);
  if (run.state !== "succeeded")
    throw new Error(`The restore ${runId} ${run.state}: ${run.error?.message ?? "no reason"}`);
  return lookAt(arm, `${groupId}/providers/Microsoft.Compute/virtualMachines/${name}`);
}

async function lookAt(arm: LocalArmClient, id: string): Promise<RestoredVm> {
  const found = await arm.get(id, apiVersions.machines);
  if (found === undefined) throw new Error(`The restored VM ${id} is not there.`);
  const profile = asObject(asObject(found["properties"])["storageProfile"]);
  const disks = [asObject(profile["osDisk"]), ...asList(profile["dataDisks"])].map((disk) => {
    const diskId = asText(asObject(disk["managedDisk"])["id"]) ?? "";
    return [restoredName(diskId), diskId] as const;
  });
  return { id, location: asText(found["location"]) ?? "", disks: new Map(disks) };
}

/** Disks are named after the VM, the instant, and the disk of the restore point. */
function restoredName(diskId: string): string {
  return /-(os|data-a|data-b)$/.exec(diskId)?.[1] ?? diskId;
}

const blockBytes = 4 * 1024 * 1024;

/** Whether a managed disk holds what the image does, `head` in place of its first bytes. */
export async function diskIsImage(arm: LocalArmClient, diskId: string, image: string, head?: Buffer): Promise<boolean> {
  const file = await open(image);
  try {
    const { size } = await file.stat();
    const disk = asObject((await arm.get(diskId, apiVersions.disks))?.["properties"]);
    if (disk["diskSizeBytes"] !== size) return false;
    const block = Buffer.alloc(blockBytes);
    for (let offset = 0; offset < size; offset += blockBytes) {
      const length = Math.min(blockBytes, size - offset);
      await file.read(block, 0, length, offset);
      if (offset === 0) head?.copy(block);
      if (!block.subarray(0, length).equals(await arm.diskHolds(diskId, offset, length))) return false;
    }
    return true;
  } finally {
    await file.close();
  }
}
