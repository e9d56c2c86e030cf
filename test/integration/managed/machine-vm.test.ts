/** Restores as a new VM: the real adapter over a local ARM. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import type { ManagedVmTarget } from "../../../shared/core/machine-restore.ts";
import type { MachineRestore } from "../../../shared/ports/machine-target.ts";
import {
  bytesOf,
  driven,
  groupId,
  machineBench,
  resourcesOf,
  restoreOf,
  runB,
  takenBack,
  testClock,
  withUrls,
  type MachineBench,
} from "../../support/machine-restores.ts";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";
import { addNetwork, addSampleMachine, networkId, put, type SampleMachine } from "../../support/sample-machine.ts";

const never = new AbortController().signal;
const mib = 1024 ** 2;

let region: ManagedRegion;
let bench: MachineBench;
let sample: SampleMachine;
let elsewhere: string;

beforeEach(async () => {
  const clock = testClock();
  const takes = (operation: string) => (operation.startsWith("access/begin") ? 0 : 30_000);
  region = await startManagedRegion({ now: () => clock.at, takes });
  bench = await machineBench(region, clock);
  sample = await addSampleMachine(region, bench.arm, "web");
  await put(bench.arm, `${groupId("drill")}/providers/Microsoft.Network/networkSecurityGroups/drill-nsg`, {
    location: "northeurope",
  });
  elsewhere = await addNetwork(bench.arm, "drill-net", { location: "northeurope", net: 2, inGroup: "drill" });
  clock.at += 60_000;
  await region.client.virtualMachines.get(group, "web");
});
afterEach(() => region.stop());

const abroad = (): ManagedVmTarget => ({
  kind: "managed-vm",
  name: "web-drill",
  resourceGroup: groupId("drill"),
  location: "northeurope",
  size: "Standard_D8s_v5",
  zone: "2",
  subnetId: elsewhere,
  networkSecurityGroupId: networkId("networkSecurityGroups", "drill-nsg", "drill"),
});

const athome = (): ManagedVmTarget => ({ kind: "managed-vm", name: "web-again", resourceGroup: groupId(group) });

async function planned(target: ManagedVmTarget, more: Partial<MachineRestore> = {}) {
  const restore = await restoreOf(bench, sample.vm, target, more);
  const plan = await bench.target().preflight(restore, never);
  return { restore: withUrls(restore, plan.disks), plan };
}

async function restored(target: ManagedVmTarget) {
  const { restore, plan } = await planned(target);
  await driven(bench, "prepare", restore);
  for (const [index, disk] of restore.disks.entries()) {
    await bench.target().write(disk, restore.runId, index * mib, new Uint8Array(4096).fill(index + 1), never);
  }
  const finished = await driven(bench, "finish", restore);
  return { restore, plan, finished };
}

describe("A restore as a new VM", () => {
  test("makes it in another region as it was captured, with what was asked to be otherwise, on the restored disks", async () => {
    const { plan, finished, restore } = await restored(abroad());
    const vm = await region.client.virtualMachines.get("drill", "web-drill", { expand: "instanceView" });
    const [os = "", first = "", second = ""] = plan.disks;
    // Nor is a copy protected unasked.
    expect(Object.keys(vm.tags ?? {})).not.toContain("Farside-Policy");
    expect(plan.notes.join("\n")).toContain("does not get the tag farside-policy");
    expect(vm).toMatchObject({
      location: "northeurope",
      zones: ["2"],
      tags: { service: "web", "farside-run": restore.runId, "farside-vm": "web", "farside-point": restore.pointId },
      plan: { name: "plan", publisher: "publisher", product: "product" },
      identity: { type: "SystemAssigned" },
      hardwareProfile: { vmSize: "Standard_D8s_v5" },
      licenseType: "RHEL_BYOS",
      diagnosticsProfile: { bootDiagnostics: { enabled: true } },
      storageProfile: {
        osDisk: { createOption: "Attach", osType: "Linux", managedDisk: { id: os }, deleteOption: "Detach" },
        dataDisks: [
          { lun: 0, caching: "ReadOnly", managedDisk: { id: first }, deleteOption: "Detach" },
          { lun: 1, caching: "None", managedDisk: { id: second }, deleteOption: "Detach" },
        ],
      },
    });
    expect(vm.osProfile).toBeUndefined();
    const nicId = vm.networkProfile?.networkInterfaces?.[0]?.id ?? "";
    const nic = region.server.arm.resources.require(nicId).body;
    expect(nic).toMatchObject({
      location: "northeurope",
      tags: { owner: "web team", "farside-run": restore.runId },
      properties: {
        enableAcceleratedNetworking: true,
        networkSecurityGroup: { id: abroad().networkSecurityGroupId },
        dnsSettings: { dnsServers: ["10.1.0.4"] },
        ipConfigurations: [
          { name: "main", properties: { subnet: { id: elsewhere }, privateIPAllocationMethod: "Dynamic" } },
        ],
      },
    });
    expect(JSON.stringify(nic)).not.toMatch(/web-ip|loadBalancer|10\.1\.0\.7/);
    for (const [index, id] of plan.disks.entries()) {
      expect(await bytesOf(region, id, index * mib, 4096)).toEqual(new Uint8Array(4096).fill(index + 1));
      const disk = await region.client.disks.get("drill", id.split("/").at(-1) ?? "");
      expect(disk).toMatchObject({ zones: ["2"], tags: { part: `${index}` }, managedBy: vm.id });
      expect(disk.sku?.name).toBe(index === 2 ? "StandardSSD_LRS" : "Premium_LRS");
    }
    expect(finished.made).toEqual([
      { kind: "network-interface", id: nicId },
      { kind: "vm", id: vm.id },
    ]);
    const notes = plan.notes.join("\n");
    for (const told of [
      "public address web-ip",
      "load balancer",
      "10.1.0.7",
      "monitoring",
      "system-assigned identity",
    ]) {
      expect(notes).toContain(told);
    }
    // Done as well where it was done before.
    expect((await driven(bench, "finish", restore)).made).toEqual(finished.made);
  });

  test("needs a subnet by its name where the interface could not be read when the VM was captured", async () => {
    region.server.arm.resources.remove(networkId("networkInterfaces", "web-nic"));
    const restore = await restoreOf(bench, sample.vm, athome());
    expect(restore.configuration["missing"]).toHaveLength(1);
    await expect(bench.target().preflight(restore, never)).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining("--subnet"),
    });
    const named = { ...restore, target: { ...athome(), subnetId: sample.subnetId } };
    expect((await bench.target().preflight(named, never)).notes.join()).toContain("1 network interfaces");
  });

  test("keeps the security group and, where asked, the private address in the VM's own region; and is left stopped where asked", async () => {
    const target = { ...athome(), keepPrivateAddresses: true, leaveStopped: true };
    const restore = await restoreOf(bench, sample.vm, target);
    region.server.arm.resources.remove(networkId("networkInterfaces", "web-nic"));
    const plan = await bench.target().preflight(restore, never);
    const ready = withUrls(restore, plan.disks);
    await driven(bench, "prepare", ready);
    await driven(bench, "finish", ready);
    const view = await region.client.virtualMachines.instanceView(group, "web-again");
    expect(view.statuses?.map(({ code }) => code)).toContain("PowerState/deallocated");
    const nic = region.server.arm.resources.require(networkId("networkInterfaces", "web-again-nic-1")).body;
    expect(nic).toMatchObject({
      properties: {
        networkSecurityGroup: { id: networkId("networkSecurityGroups", "web-nsg") },
        ipConfigurations: [
          {
            properties: {
              privateIPAllocationMethod: "Static",
              privateIPAddress: "10.1.0.7",
              subnet: { id: sample.subnetId },
            },
          },
        ],
      },
    });
  });

  test("keeps identities and placement that still stand, and leaves out what is gone or not the service's to give", async () => {
    const { resources, offers } = region.server.arm;
    const compute = (kind: string, name: string) => `${groupId(group)}/providers/Microsoft.Compute/${kind}/${name}`;
    const near = compute("proximityPlacementGroups", "near");
    const set = compute("availabilitySets", "set");
    resources.change(sample.vm.resourceId, { proximityPlacementGroup: { id: near }, availabilitySet: { id: set } });
    await put(bench.arm, near, { location: "westeurope" }, "2026-04-01");
    const restore = await restoreOf(bench, sample.vm, athome());
    const first = await bench.target().preflight(restore, never);
    expect(first.notes.join()).toMatch(/availability set set is left out/);
    expect(first.notes.join()).not.toMatch(/identities|near/);
    offers.permit(groupId(group), [{ actions: ["Microsoft.Compute/*", "Microsoft.Network/*"], notActions: [] }]);
    const ready = withUrls(restore, (await bench.target().preflight(restore, never)).disks);
    await driven(bench, "prepare", ready);
    await driven(bench, "finish", ready);
    const vm = await region.client.virtualMachines.get(group, "web-again");
    expect(vm).toMatchObject({ identity: { type: "SystemAssigned" }, proximityPlacementGroup: { id: near } });
    expect(vm.availabilitySet).toBeUndefined();
    expect(vm.identity?.userAssignedIdentities ?? {}).toEqual({});
  });

  test.each(["location", "async"] as const)("follows operations that tell of themselves by %s alone", async (shape) => {
    region.server.arm.faults.planShapes((name) => (name === "access/begin" ? "both" : shape));
    const { plan } = await restored(abroad());
    expect(await bytesOf(region, plan.disks[0] ?? "", 0, 4096)).toEqual(new Uint8Array(4096).fill(1));
    const error = new ServiceError(409, "InvalidParameter", "It is not to the platform's liking.");
    region.server.arm.faults.planOperation("disks/write", { kind: "fails", error });
    const again = await planned({ ...abroad(), name: "other", namePrefix: "other" }, { runId: runB });
    await expect(driven(bench, "prepare", again.restore)).rejects.toMatchObject({
      message: expect.stringContaining("not to the platform's liking"),
    });
  });

  test("ends with the platform's reason where an address is taken, and leaves nothing", async () => {
    const before = resourcesOf(region);
    const { restore } = await planned({ ...athome(), keepPrivateAddresses: true });
    await driven(bench, "prepare", restore);
    await expect(driven(bench, "finish", restore)).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("10.1.0.7 is used by"),
    });
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(resourcesOf(region)).toEqual(before);
  });

  test("ends with the platform's reason where the VM cannot be made, and leaves nothing", async () => {
    const before = resourcesOf(region);
    const { restore } = await planned(abroad());
    await driven(bench, "prepare", restore);
    const error = new ServiceError(409, "SkuNotAvailable", "There is no capacity for that size in zone 2.");
    region.server.arm.faults.planOperation("virtualMachines/write", { kind: "fails", error });
    await expect(driven(bench, "finish", restore)).rejects.toMatchObject({
      message: expect.stringContaining("no capacity for that size in zone 2"),
      advice: "give-up",
    });
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(resourcesOf(region)).toEqual(before);
  });

  test("is one where two calls of a phase run at once", async () => {
    const { restore } = await planned(abroad());
    await Promise.all([driven(bench, "prepare", restore), driven(bench, "prepare", restore)]);
    const [one, two] = await Promise.all([driven(bench, "finish", restore), driven(bench, "finish", restore)]);
    expect(one.made).toEqual(two.made);
  });

  test("leaves nothing when it is taken back after any of its steps", async () => {
    const before = resourcesOf(region);
    const { restore } = await planned(abroad());
    for (let calls = 0; calls <= 8; calls++) {
      await driven(bench, "prepare", restore);
      let operation: string | undefined;
      for (let call = 0; call < calls; call++) {
        const progress = await bench.target().finish(restore, operation, never);
        operation = progress.kind === "waiting" ? progress.operation : undefined;
        bench.clock.at += 20_000;
      }
      expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
      expect(resourcesOf(region)).toEqual(before);
    }
  });
});

describe("The preflight of a new VM", () => {
  const answer = async (target: ManagedVmTarget, more: Partial<MachineRestore> = {}): Promise<string> => {
    const restore = await restoreOf(bench, sample.vm, target, more);
    const before = region.requests.length;
    const plan = await bench
      .target()
      .preflight(restore, never)
      .catch((error: unknown) => error);
    // Whatever it answers, it makes nothing.
    expect(region.requests.slice(before).filter((request) => !request.startsWith("GET "))).toEqual([]);
    return plan instanceof FarsideError ? `${plan.code}: ${plan.message}` : "accepted";
  };

  test("refuses names that are taken, or are none", async () => {
    expect(await answer({ ...athome(), name: "web" })).toMatch(/^target-exists: .*VM web exists already/);
    expect(await answer({ ...athome(), name: "-web" })).toMatch(/^bad-input: .*cannot be the name of a VM/);
    expect(await answer({ ...athome(), namePrefix: "a b" })).toMatch(/^bad-input: .*prefix/);
    await put(bench.arm, networkId("networkInterfaces", "web-again-nic-1"), { location: "westeurope" });
    expect(await answer(athome())).toMatch(/^target-exists: .*web-again-nic-1 exists already/);
    const disk = { location: "westeurope", creationData: { createOption: "Empty" }, diskSizeGB: 1 } as const;
    await region.client.disks.createOrUpdate(group, "mine-web-1", disk).submitted();
    expect(await answer({ ...athome(), namePrefix: "mine" })).toMatch(/^target-exists: .*mine-web-1 exists already/);
  });

  test("refuses a resource group, a region, a subnet that is not there", async () => {
    expect(await answer({ ...abroad(), resourceGroup: groupId("nowhere") })).toMatch(
      /^not-found: .*no resource group nowhere/,
    );
    expect(await answer({ ...abroad(), location: "mars" })).toMatch(/^bad-input: .*mars/);
    expect(await answer({ ...abroad(), subnetId: `${elsewhere}-2` })).toMatch(/^bad-input: .*not there/);
    expect(await answer({ ...abroad(), subnetId: sample.subnetId })).toMatch(
      /^bad-input: .*its network is in westeurope/,
    );
    const keys = `${groupId("drill")}/providers/Microsoft.Compute/diskEncryptionSets/keys`;
    expect(await answer({ ...abroad(), diskEncryptionSetId: keys })).toMatch(
      /^bad-input: .*keys is not there.*--encryption-set/,
    );
    await put(bench.arm, keys, { location: "westeurope" }, "2026-03-02");
    expect(await answer({ ...abroad(), diskEncryptionSetId: keys })).toMatch(/^bad-input: .*keys is in westeurope/);
    const nsg = networkId("networkSecurityGroups", "web-nsg");
    expect(await answer({ ...abroad(), networkSecurityGroupId: nsg })).toMatch(
      /^bad-input: .*web-nsg is in westeurope.*--nsg/,
    );
    const { subnetId: _, ...unnamed } = abroad();
    expect(await answer(unnamed)).toMatch(/^bad-input: .*--subnet/);
  });

  test("refuses sizes and zones that the region does not offer, and sizes that cannot carry the VM", async () => {
    expect(await answer({ ...abroad(), size: "Standard_X1" })).toMatch(/^not-supported: .*Standard_X1 is not offered/);
    region.server.arm.offers.restrict("Standard_D8s_v5", { location: "northeurope", zones: ["2"] });
    expect(await answer(abroad())).toMatch(/^not-supported: .*not available in zone 2 of northeurope; it is in 1, 3/);
    region.server.arm.offers.restrict("Standard_D8s_v5", { location: "northeurope" });
    expect(await answer(abroad())).toMatch(/^not-supported: .*NotAvailableForSubscription/);
    expect(await answer({ ...abroad(), size: "Standard_D2_v5" })).toMatch(
      /^not-supported: .*takes no Premium_LRS disks/,
    );
    expect(await answer({ ...abroad(), sku: "Premium_XYZ" })).toMatch(/^not-supported: .*kind of disk Premium_XYZ/);
  });

  test("refuses what the quota does not suffice for", async () => {
    const { offers } = region.server.arm;
    offers.setUsage("northeurope", "standardDSv5Family", { currentValue: 93, limit: 100 });
    expect(await answer(abroad())).toMatch(/^refused: .*standardDSv5Family \(93 of 100 used, 8 needed\)/);
    offers.setUsage("northeurope", "standardDSv5Family", { currentValue: 92, limit: 100 });
    offers.setUsage("northeurope", "PremiumDiskCount", { currentValue: 9, limit: 10 });
    expect(await answer(abroad())).toMatch(/^refused: .*PremiumDiskCount \(9 of 10 used, 2 needed\)/);
  });

  test("refuses where permissions lack, and names them", async () => {
    const { offers } = region.server.arm;
    offers.permit(groupId("drill"), [
      { actions: ["Microsoft.Compute/*", "Microsoft.Network/*/read"], notActions: ["Microsoft.Compute/disks/delete"] },
    ]);
    expect(await answer(abroad())).toMatch(
      /^forbidden: .*Microsoft\.Compute\/disks\/delete, Microsoft\.Network\/networkInterfaces\/write/,
    );
  });

  test("goes on where it must not look at permissions, quota and offers, and says so", async () => {
    const denied = new ServiceError(403, "AuthorizationFailed", "The client does not have authorization.");
    region.server.arm.faults.planRequest(/permissions$|usages$|skus$/, denied, 10);
    const { plan } = await planned(abroad());
    expect(plan.notes.filter((note) => note.includes("could not be looked at"))).toHaveLength(4);
  });

  test("refuses a configuration that is damaged, which disks alone do not need", async () => {
    const damaged = { configuration: { kind: "managed", vm: { id: 7 } } };
    expect(await answer(abroad(), damaged)).toMatch(/^refused: .*vm\.id/);
    const target = { kind: "managed-disks", resourceGroup: groupId("drill"), location: "northeurope" } as const;
    const restore = await restoreOf(bench, sample.vm, target, damaged);
    expect((await bench.target().preflight(restore, never)).notes.join()).toContain("cannot be read");
  });

  test("asks for what a point of another kind of source does not know, and makes a VM of it", async () => {
    const other = { configuration: { kind: "page-blob" } };
    const { location: _, ...nowhere } = abroad();
    expect(await answer(nowhere, other)).toMatch(/^bad-input: .*--location/);
    const { size: __, ...sizeless } = abroad();
    expect(await answer(sizeless, other)).toMatch(/^bad-input: .*--size/);
    const { restore } = await planned(abroad(), { ...other, runId: runB });
    await driven(bench, "prepare", restore);
    await driven(bench, "finish", restore);
    const vm = await region.client.virtualMachines.get("drill", "web-drill");
    expect(vm.storageProfile?.dataDisks?.map(({ lun }) => lun)).toEqual([0, 1]);
  });
});
