/** A restore and a captured machine for tests of plans: nothing here is asked of a service. */
import type { CapturedMachine } from "../../shared/adapters/azure/managed/machine/captured-machine.ts";
import { parseDiskName, parsePointId, parseRunId, parseVmName } from "../../shared/core/ids.ts";
import type { ManagedVmTarget } from "../../shared/core/machine-restore.ts";
import { parseResourceGroupId } from "../../shared/core/resource-id.ts";
import { parseTimestamp } from "../../shared/core/timestamp.ts";
import type { MachineDisk, MachineRestore } from "../../shared/ports/machine-target.ts";

export const home = "11111111-2222-3333-4444-555555555555";
export const abroad = "99999999-2222-3333-4444-555555555555";
const gib = 1024 ** 3;

export const osDisk: MachineDisk = {
  name: parseDiskName("web-os"),
  role: "os",
  sizeBytes: 30 * gib,
  logicalSectorSize: 512,
};
export const dataDisk: MachineDisk = {
  name: parseDiskName("web-data"),
  role: "data",
  lun: 4,
  sizeBytes: 100 * gib,
  logicalSectorSize: 512,
};

export function targetIn(subscription: string, more: Partial<ManagedVmTarget> = {}): ManagedVmTarget {
  const resourceGroup = parseResourceGroupId(`/subscriptions/${subscription}/resourceGroups/drill`);
  return { kind: "managed-vm", name: "web-drill", resourceGroup, ...more };
}

export function sampleRestore(more: Partial<MachineRestore> = {}): MachineRestore {
  return {
    runId: parseRunId("01K0000000000000000000000A"),
    vm: parseVmName("web"),
    pointId: parsePointId("01K000000000000000000000PT"),
    snapshotAt: parseTimestamp("2026-11-20T08:30:00.000Z"),
    target: targetIn(home),
    disks: [osDisk, dataDisk],
    configuration: {},
    osType: "linux",
    ...more,
  };
}

export function inHome(type: string, name: string, group = "prod"): string {
  return `/subscriptions/${home}/resourceGroups/${group}/providers/${type}/${name}`;
}

/** With everything that refers to something else. */
export function sampleMachine(): CapturedMachine {
  const subnet = { id: `${inHome("Microsoft.Network/virtualNetworks", "net")}/subnets/default` };
  const nic = inHome("Microsoft.Network/networkInterfaces", "web-nic");
  const compute = (kind: string, name: string) => ({ id: inHome(`Microsoft.Compute/${kind}`, name) });
  const network = (kind: string, name: string) => ({ id: inHome(`Microsoft.Network/${kind}`, name) });
  const disk = { location: "westeurope", sku: { name: "Premium_LRS" }, zones: ["1"], tags: { owner: "web" } };
  return {
    kind: "managed",
    vm: {
      id: inHome("Microsoft.Compute/virtualMachines", "web"),
      location: "westeurope",
      zones: ["1"],
      identity: {
        type: "SystemAssigned, UserAssigned",
        userAssignedIdentities: { [inHome("Microsoft.ManagedIdentity/userAssignedIdentities", "reader")]: {} },
      },
      properties: {
        hardwareProfile: { vmSize: "Standard_D4s_v5" },
        storageProfile: {
          osDisk: { osType: "Linux", caching: "ReadWrite", managedDisk: compute("disks", "web-os") },
          dataDisks: [{ lun: 4, caching: "ReadOnly", managedDisk: compute("disks", "web-data") }],
        },
        networkProfile: { networkInterfaces: [{ id: nic, properties: { primary: true } }] },
        proximityPlacementGroup: compute("proximityPlacementGroups", "near"),
        hostGroup: compute("hostGroups", "hosts"),
        virtualMachineScaleSet: compute("virtualMachineScaleSets", "set"),
        capacityReservation: { capacityReservationGroup: compute("capacityReservationGroups", "reserved") },
        diagnosticsProfile: { bootDiagnostics: { enabled: true, storageUri: "https://diag.blob.core.windows.net/" } },
        priority: "Spot",
        evictionPolicy: "Deallocate",
        billingProfile: { maxPrice: "0.25" },
      },
    },
    userData: "aGVsbG8=",
    disks: [
      {
        ...disk,
        ...compute("disks", "web-os"),
        properties: {
          osType: "Linux",
          hyperVGeneration: "V2",
          tier: "P10",
          encryption: {
            type: "EncryptionAtRestWithCustomerKey",
            diskEncryptionSetId: compute("diskEncryptionSets", "keys").id,
          },
        },
      },
      { ...disk, ...compute("disks", "web-data"), properties: {} },
    ],
    extensions: [{ name: "monitoring" }],
    networkInterfaces: [
      {
        id: nic,
        properties: {
          networkSecurityGroup: network("networkSecurityGroups", "web-nsg"),
          ipConfigurations: [
            {
              name: "main",
              properties: {
                primary: true,
                privateIPAddress: "10.1.0.7",
                subnet,
                publicIPAddress: network("publicIPAddresses", "web-ip"),
                applicationSecurityGroups: [network("applicationSecurityGroups", "front")],
                loadBalancerBackendAddressPools: [network("loadBalancers", "balancer")],
              },
            },
          ],
        },
      },
    ],
  };
}
