/** A VM of Azure with everything about it that a restore has to do with, in a local region. */
import type { ArmConnection } from "../../shared/adapters/azure/managed/arm-connection.ts";
import { apiVersions } from "../../shared/adapters/azure/managed/arm-connection.ts";
import { subscriptionId } from "./arm-client.ts";
import { group, type ManagedRegion, type ManagedVm } from "./managed-vm.ts";

const never = new AbortController().signal;

export function networkId(kind: string, name: string, inGroup = group, subscription = subscriptionId): string {
  return `/subscriptions/${subscription}/resourceGroups/${inGroup}/providers/Microsoft.Network/${kind}/${name}`;
}

/** With a subnet `default` of 10.`<net>`.0.0/24. Its id. */
export async function addNetwork(
  arm: ArmConnection,
  name: string,
  { location, net, inGroup = group }: { readonly location: string; readonly net: number; readonly inGroup?: string },
): Promise<string> {
  const id = networkId("virtualNetworks", name, inGroup);
  const subnets = [{ name: "default", properties: { addressPrefix: `10.${net}.0.0/24` } }];
  await put(arm, id, { location, properties: { subnets } });
  return `${id}/subnets/default`;
}

export async function put(arm: ArmConnection, id: string, body: unknown, version: string = apiVersions.network) {
  await arm.change({ method: "PUT", id, query: { "api-version": version }, body }, "make it", never);
}

export interface SampleMachine {
  readonly vm: ManagedVm;
  readonly subnetId: string;
}

/** One OS disk and two data disks in the region's own location, with an interface, a public address, identities, extensions. */
export async function addSampleMachine(
  region: ManagedRegion,
  arm: ArmConnection,
  name: string,
  options: Parameters<ManagedRegion["addVm"]>[2] = {},
): Promise<SampleMachine> {
  const vm = await region.addVm(name, 3, options);
  const subnetId = await addNetwork(arm, `${name}-net`, { location: "westeurope", net: 1 });
  const nsg = networkId("networkSecurityGroups", `${name}-nsg`);
  await put(arm, nsg, { location: "westeurope", properties: {} });
  const address = networkId("publicIPAddresses", `${name}-ip`);
  await put(arm, address, { location: "westeurope", properties: {} });
  const nic = networkId("networkInterfaces", `${name}-nic`);
  const configuration = {
    primary: true,
    privateIPAddress: "10.1.0.7",
    privateIPAllocationMethod: "Static",
    subnet: { id: subnetId },
    publicIPAddress: { id: address },
    loadBalancerBackendAddressPools: [{ id: networkId("loadBalancers", "front") }],
  };
  await put(arm, nic, {
    location: "westeurope",
    tags: { owner: "web team" },
    properties: {
      enableAcceleratedNetworking: true,
      networkSecurityGroup: { id: nsg },
      dnsSettings: { dnsServers: ["10.1.0.4"] },
      ipConfigurations: [{ name: "main", properties: configuration }],
    },
  });
  const { resources } = region.server.arm;
  const { body } = resources.require(vm.resourceId);
  const properties = body["properties"] as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  const { dataDisks } = properties["storageProfile"] as { readonly dataDisks: readonly object[] };
  const identity = `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/reader`;
  resources.put({
    ...resources.require(vm.resourceId),
    body: {
      ...body,
      tags: { service: "web", "Farside-Policy": "daily" },
      plan: { name: "plan", publisher: "publisher", product: "product" },
      identity: { type: "SystemAssigned, UserAssigned", userAssignedIdentities: { [identity]: {} } },
      resources: [{ name: "monitoring", location: "westeurope", properties: { type: "AzureMonitorLinuxAgent" } }],
      properties: {
        ...properties,
        hardwareProfile: { vmSize: "Standard_D4s_v5" },
        licenseType: "RHEL_BYOS",
        diagnosticsProfile: { bootDiagnostics: { enabled: true } },
        networkProfile: { networkInterfaces: [{ id: nic, properties: { primary: true } }] },
        storageProfile: {
          ...properties["storageProfile"],
          dataDisks: dataDisks.map((disk, index) => ({ ...disk, caching: index === 0 ? "ReadOnly" : "None" })),
        },
      },
    },
  });
  for (const [index, id] of vm.diskIds.entries()) {
    const disk = resources.require(id);
    const sku = { name: index === 2 ? "StandardSSD_LRS" : "Premium_LRS" };
    resources.put({ ...disk, body: { ...disk.body, sku, tags: { part: `${index}` } } });
    resources.change(id, index === 0 ? { osType: "Linux", hyperVGeneration: "V2" } : { burstingEnabled: index === 1 });
  }
  return { vm, subnetId };
}
