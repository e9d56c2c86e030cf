/**
 * Two VMs to try Farside on: `web`, a Linux VM with three disks, a network of its own and a tag that names its policy, and `files`, a Windows
 * VM with two disks and trusted launch. They are made once; whoever deletes them does not get them back.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiVersions, LocalArmClient } from "../local-client.ts";
import { asObject, type Json } from "../resources.ts";
import type { PartitionType } from "./gpt.ts";
import { makePartitionedImage } from "./partitioned-image.ts";
import { makeNetwork } from "./sample-network.ts";
import { uploadDisk } from "./upload-disk.ts";

export const sampleSubscription = "10ca1000-0000-4000-8000-000000000001";
export const sampleGroup = "local";
export const location = "westeurope";
/** The policy that the tag of one of them names. */
export const samplePolicy = "daily";

export const groupId = `/subscriptions/${sampleSubscription}/resourceGroups/${sampleGroup}`;
const compute = `${groupId}/providers/Microsoft.Compute`;

interface Sample {
  readonly name: string;
  readonly type: PartitionType;
  readonly osType: "Linux" | "Windows";
  readonly tags: Readonly<Record<string, string>>;
  readonly properties: Json;
  /** The OS disk first. */
  readonly disks: readonly SampleDisk[];
}

interface SampleDisk {
  readonly name: string;
  readonly sizeMib: number;
  readonly label: string;
  readonly files: Readonly<Record<string, string>>;
}

const log = Array.from({ length: 2000 }, (_, n) => `${n} GET /index.html 200 ${(n * 7919) % 997} ms\n`).join("");

const samples: readonly Sample[] = [
  {
    name: "web",
    type: "linux",
    osType: "Linux",
    tags: { "farside-policy": samplePolicy, role: "web" },
    properties: { hardwareProfile: { vmSize: "Standard_D2s_v5" } },
    disks: [
      {
        name: "web-os",
        sizeMib: 512,
        label: "web-root",
        files: { "etc/hostname": "web\n", "etc/motd": "A sample VM of the local ARM.\n" },
      },
      { name: "web-data", sizeMib: 256, label: "web-data", files: { "www/index.html": "<h1>It works</h1>\n" } },
      { name: "web-log", sizeMib: 256, label: "web-log", files: { "access.log": log } },
    ],
  },
  {
    name: "files",
    type: "windows",
    osType: "Windows",
    tags: { role: "file-server" },
    properties: {
      hardwareProfile: { vmSize: "Standard_D2s_v5" },
      licenseType: "Windows_Server",
      securityProfile: {
        securityType: "TrustedLaunch",
        uefiSettings: { secureBootEnabled: true, vTpmEnabled: true },
      },
    },
    disks: [
      { name: "files-os", sizeMib: 512, label: "Windows", files: {} },
      { name: "files-data", sizeMib: 256, label: "Shares", files: {} },
    ],
  },
];

/** ARM ids of the two, in the order in which they are made. */
export const sampleVmIds: readonly string[] = samples.map(({ name }) => `${compute}/virtualMachines/${name}`);

/** Makes what is missing: those that an interrupted start left are made to their end. */
export async function makeSampleVms(url: string, signal: AbortSignal): Promise<void> {
  const client = new LocalArmClient(url, signal);
  const folder = await mkdtemp(join(tmpdir(), "farside-samples-"));
  try {
    for (const sample of samples) await makeSample(client, sample, folder, signal);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function makeSample(client: LocalArmClient, sample: Sample, folder: string, signal: AbortSignal): Promise<void> {
  const { name, type, osType, tags, properties, disks } = sample;
  const vmId = `${compute}/virtualMachines/${name}`;
  const standing = await client.get(vmId, apiVersions.machines);
  if (asObject(standing?.["properties"])["provisioningState"] === "Succeeded") return;
  if (standing !== undefined) await client.delete(vmId, apiVersions.machines);
  for (const [number, { name: diskName, sizeMib, label, files }] of disks.entries()) {
    const image = join(folder, diskName);
    await makePartitionedImage(image, { sizeMib, type, label, files });
    const os = number === 0 ? { osType, hyperVGeneration: "V2" } : {};
    const guarded = number === 0 && type === "windows" ? { securityProfile: { securityType: "TrustedLaunch" } } : {};
    const top = { location, sku: { name: "Premium_LRS" }, tags: { vm: name } };
    const id = `${compute}/disks/${diskName}`;
    await uploadDisk(client, { id, top, properties: { ...os, ...guarded }, image }, signal);
    await rm(image);
  }
  const nic = await makeNetwork(client, { name, groupId, location });
  const [osDisk, ...dataDisks] = disks.map((disk) => ({
    name: disk.name,
    createOption: "Attach",
    caching: "ReadWrite",
    managedDisk: { id: `${compute}/disks/${disk.name}` },
  }));
  const storageProfile = {
    osDisk: { ...osDisk, osType },
    dataDisks: dataDisks.map((disk, lun) => ({ ...disk, lun, caching: "None" })),
  };
  const networkProfile = { networkInterfaces: [{ id: nic, properties: { primary: true } }] };
  await client.put(vmId, apiVersions.machines, {
    location,
    tags,
    properties: { ...properties, storageProfile, networkProfile },
  });
}
