import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  holds,
  neededSubnets,
  planInterfaces,
} from "../../../../../../shared/adapters/azure/managed/machine/plan-interfaces.ts";
import { planVm } from "../../../../../../shared/adapters/azure/managed/machine/plan-vm.ts";
import type { ManagedVmTarget } from "../../../../../../shared/core/machine-restore.ts";
import { parseResourceGroupId } from "../../../../../../shared/core/resource-id.ts";
import type { MachineRestore } from "../../../../../../shared/ports/machine-target.ts";
import {
  abroad,
  dataDisk,
  home,
  inHome,
  osDisk,
  sampleMachine,
  sampleRestore,
  targetIn,
} from "../../../../../support/machine-samples.ts";

const captured = sampleMachine();
const subnetAbroad = `/subscriptions/${abroad}/resourceGroups/drill/providers/Microsoft.Network/virtualNetworks/n/subnets/s`;

function planned(
  target: ManagedVmTarget,
  isAtHome: boolean,
  more: Partial<MachineRestore> = {},
  unusable?: Set<string>,
) {
  const restore = sampleRestore({ target, ...more });
  const reach = {
    captured,
    location: isAtHome ? "westeurope" : "northeurope",
    isAtHome,
    ...(unusable && { unusable }),
  };
  const subnets = neededSubnets(target, reach).map((id) => ({ id, prefixes: ["10.1.0.0/24"] }));
  const network = planInterfaces(restore, target, { ...reach, subnets, canAccelerate: undefined });
  const disks = restore.disks.map(({ name }) => `${target.resourceGroup}/providers/Microsoft.Compute/disks/${name}`);
  const { interfaces } = network;
  const vm = planVm(restore, target, { ...reach, zone: isAtHome ? "1" : "none", disks, skus: [], interfaces });
  return { vm, interfaces, notes: [...network.notes, ...vm.notes] };
}

describe("The plan of a new VM", () => {
  test("names the data disks that it is made without", () => {
    const { notes } = planned(targetIn(home), true, { disks: [osDisk] });
    expect(notes.join("\n")).toContain("not attached: the data disks at LUN 4 (web-data)");
  });

  test("names nothing of another subscription or region, whatever was captured and asked for", () => {
    const wishes = fc.record(
      {
        subnetId: fc.constant(subnetAbroad),
        size: fc.constantFrom("Standard_D2s_v5", "Standard_D8s_v5"),
        keepPrivateAddresses: fc.boolean(),
        leaveStopped: fc.boolean(),
      },
      { requiredKeys: ["subnetId"] },
    );
    fc.assert(
      fc.property(wishes, fc.boolean(), (wished, withData) => {
        const disks = withData ? [osDisk, dataDisk] : [osDisk];
        const { vm, interfaces } = planned(targetIn(abroad, wished), false, { disks });
        expect(JSON.stringify([vm.body, interfaces])).not.toContain(home);
      }),
    );
  });

  test("tells everything that it leaves out", () => {
    const { notes } = planned(targetIn(abroad, { subnetId: subnetAbroad }), false);
    const told = notes.join("\n");
    for (const name of ["web-nsg", "web-ip", "front", "load balancer", "10.1.0.7", "near", "hosts", "scale set set"]) {
      expect(told).toContain(name);
    }
    for (const name of ["reserved capacity", "monitoring", "reader", "system-assigned", "Boot diagnostics"]) {
      expect(told).toContain(name);
    }
  });

  test("is as the VM was, at home, but for what the VM itself may still use", () => {
    const { vm, interfaces } = planned(targetIn(home), true);
    expect(vm.body).toMatchObject({
      location: "westeurope",
      zones: ["1"],
      identity: { type: "SystemAssigned, UserAssigned" },
      properties: {
        hardwareProfile: { vmSize: "Standard_D4s_v5" },
        storageProfile: {
          osDisk: { osType: "Linux", caching: "ReadWrite", createOption: "Attach", deleteOption: "Detach" },
          dataDisks: [{ lun: 4, caching: "ReadOnly", createOption: "Attach", deleteOption: "Detach" }],
        },
        priority: "Spot",
        evictionPolicy: "Deallocate",
        billingProfile: { maxPrice: 0.25 },
        proximityPlacementGroup: { id: inHome("Microsoft.Compute/proximityPlacementGroups", "near") },
        userData: "aGVsbG8=",
      },
    });
    const text = JSON.stringify([vm.body, interfaces]);
    expect(text).toContain("web-nsg");
    expect(text).toContain("front");
    expect(text).not.toMatch(/web-ip|balancer|10\.1\.0\.7|osProfile|capacityReservation|virtualMachineScaleSet/);
  });

  test("leaves out what is gone since it was captured", () => {
    const gone = new Set([
      inHome("Microsoft.Network/networkSecurityGroups", "web-nsg").toLowerCase(),
      inHome("Microsoft.ManagedIdentity/userAssignedIdentities", "reader").toLowerCase(),
    ]);
    const { vm, interfaces, notes } = planned(targetIn(home), true, {}, gone);
    expect(JSON.stringify([vm.body, interfaces])).not.toMatch(/web-nsg|reader/);
    expect(notes.join()).toMatch(/web-nsg is left out.*reader are left out/);
  });

  test("keeps an availability set in its own resource group alone, and in no zone", () => {
    const id = inHome("Microsoft.Compute/availabilitySets", "set");
    const properties = { ...captured.vm.properties, availabilitySet: { id } };
    const machine = { ...captured, vm: { ...captured.vm, properties } };
    const facts = { captured: machine, location: "westeurope", isAtHome: true, disks: [], skus: [], interfaces: [] };
    const other = targetIn(home);
    expect(JSON.stringify(planVm(sampleRestore(), other, { ...facts, zone: "none" }).body)).not.toContain(id);
    const own = { ...other, resourceGroup: inGroup("prod") };
    expect(JSON.stringify(planVm(sampleRestore(), own, { ...facts, zone: "none" }).body)).toContain(id);
    expect(JSON.stringify(planVm(sampleRestore(), own, { ...facts, zone: "1" }).body)).not.toContain(id);
  });

  test("keeps a private address only where it was asked for and the subnet holds it", () => {
    const asked = targetIn(home, { keepPrivateAddresses: true });
    expect(planned(asked, true).interfaces[0]?.body).toMatchObject({
      properties: {
        ipConfigurations: [{ properties: { privateIPAllocationMethod: "Static", privateIPAddress: "10.1.0.7" } }],
      },
    });
    expect(holds(["10.2.0.0/16", "fd00::/64"], "10.1.0.7")).toBe(false);
    expect(holds(["10.0.0.0/8"], "10.1.0.7")).toBe(true);
    expect(holds(["fd00::/64"], "fd00::7")).toBe(true);
    expect(holds(["nonsense"], "10.1.0.7")).toBe(false);
  });

  test("asks for a subnet where the captured one is out of reach, and for an OS disk", () => {
    expect(() => neededSubnets(targetIn(abroad), { captured, location: "northeurope", isAtHome: false })).toThrow(
      "--subnet",
    );
    expect(() => planned(targetIn(home), true, { disks: [dataDisk] })).toThrow("OS disk");
  });
});

function inGroup(name: string): ManagedVmTarget["resourceGroup"] {
  return parseResourceGroupId(`/subscriptions/${home}/resourceGroups/${name}`);
}
