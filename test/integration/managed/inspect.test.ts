/** What is seen of a VM of Azure before it is backed up: what is refused, what is waited for, what is captured. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ArmConnection } from "../../../shared/adapters/azure/managed/arm-connection.ts";
import { inspectVm } from "../../../shared/adapters/azure/managed/inspect-vm.ts";
import { localArm } from "../../../shared/adapters/azure/managed/local-arm.ts";
import { systemClock } from "../../../shared/compose/system.ts";
import { asObject, propertiesOf } from "../../../local/arm/resources.ts";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";

const never = new AbortController().signal;
const network = `/resourceGroups/${group}/providers/Microsoft.Network`;

let region: ManagedRegion;
let arm: ArmConnection;
let vm: ManagedVm;
beforeEach(async () => {
  region = await startManagedRegion({ now: Date.now });
  arm = await ArmConnection.open({ ...localArm(region.server.url), clock: systemClock() });
  vm = await region.addVm("web", 2);
});
afterEach(() => region.stop());

const inspect = () => inspectVm(arm, vm, never);
const change = (id: string, properties: Readonly<Record<string, unknown>>) =>
  void region.server.arm.resources.change(id, properties);

describe("A VM of Azure that cannot be backed up is refused, with the reason:", () => {
  const disk = (properties: Readonly<Record<string, unknown>>) => () => change(vm.diskIds[1] ?? "", properties);
  test.each([
    ["a shared disk", disk({ maxShares: 2 }), /web-1 is shared by several VMs/],
    ["a disk that may not be exported", disk({ networkAccessPolicy: "DenyAll" }), /DenyAll/],
    ["a disk that is read by identity", disk({ dataAccessAuthMode: "AzureActiveDirectory" }), /Entra/],
    [
      "a confidential VM",
      () => change(vm.resourceId, { securityProfile: { securityType: "ConfidentialVM" } }),
      /confidential VM/,
    ],
    [
      "an ephemeral OS disk",
      () => {
        const { storageProfile } = propertiesOf(region.server.arm.resources.require(vm.resourceId));
        const osDisk = { ...asObject(asObject(storageProfile)["osDisk"]), diffDiskSettings: { option: "Local" } };
        change(vm.resourceId, { storageProfile: { ...asObject(storageProfile), osDisk } });
      },
      /ephemeral OS disk/,
    ],
  ])("%s", async (_, prepare, reason) => {
    prepare();
    await expect(inspect()).rejects.toMatchObject({ code: "not-supported", message: expect.stringMatching(reason) });
  });
});

describe("A VM of Azure", () => {
  test("is seen with its state and its disks", async () => {
    const found = await inspect();
    expect(found).toMatchObject({ powerState: "running", conditions: [] });
    expect(found.disks.map(({ name, role, lun, sizeBytes }) => [name, role, lun, sizeBytes])).toEqual([
      ["web-0", "os", undefined, 1024 ** 3],
      ["web-1", "data", 0, 1024 ** 3],
    ]);
    change(vm.resourceId, { powerState: "deallocated", provisioningState: "Updating" });
    expect(await inspect()).toMatchObject({ powerState: "stopped", conditions: ["provisioning"] });
  });

  test("is captured with its network, user data and tags, without what could be a secret; what cannot be read is named", async () => {
    const subscription = vm.resourceId.split("/").slice(0, 3).join("/");
    const [nic, address] = [
      `${subscription}${network}/networkInterfaces/n`,
      `${subscription}${network}/publicIPAddresses/a`,
    ];
    const { resources } = region.server.arm;
    const put = (id: string, type: string, properties: Readonly<Record<string, unknown>>) =>
      resources.put({ id, type: `Microsoft.Network/${type}`, body: { id, name: id.split("/").at(-1), properties } });
    put(nic, "networkInterfaces", {
      networkSecurityGroup: { id: "nsg" },
      ipConfigurations: [{ properties: { privateIPAddress: "10.0.0.4", publicIPAddress: { id: address } } }],
    });
    put(address, "publicIPAddresses", { ipAddress: "20.0.0.4" });
    const gone = `${subscription}${network}/networkInterfaces/gone`;
    change(vm.resourceId, {
      networkProfile: { networkInterfaces: [{ id: nic }, { id: gone }] },
      userData: "aGVsbG8=",
      billingProfile: { maxPrice: 0.5 },
      osProfile: { computerName: "web", adminPassword: "hunter2", customData: "c2VjcmV0" },
    });
    const { body } = resources.require(vm.resourceId);
    resources.put({ ...resources.require(vm.resourceId), body: { ...body, tags: { team: "shop" }, zones: ["2"] } });
    const { configuration } = await inspect();
    expect(configuration).toMatchObject({
      kind: "managed",
      resourceId: vm.resourceId,
      vm: { tags: { team: "shop" }, zones: ["2"], properties: { osProfile: { computerName: "web" } } },
      userData: "aGVsbG8=",
      disks: [{ name: "web-0" }, { name: "web-1" }],
      networkInterfaces: [{ name: "n", properties: { networkSecurityGroup: { id: "nsg" } } }],
      publicIpAddresses: [{ properties: { ipAddress: "20.0.0.4" } }],
      missing: [gone],
    });
    const text = JSON.stringify(configuration);
    for (const secret of ["hunter2", "c2VjcmV0", "instanceView"]) expect(text).not.toContain(secret);
    // The document knows no fractions.
    expect(text).toContain('"maxPrice":"0.5"');
  });
});
