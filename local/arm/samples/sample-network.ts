/** What a sample VM is reached by: a network with a subnet, a security group, a public address, and the interface that joins them. */
import { apiVersions, type LocalArmClient } from "../local-client.ts";

interface Place {
  readonly name: string;
  readonly groupId: string;
  readonly location: string;
}

/** Of a network of its own; gives its id. */
export async function makeSubnet(client: LocalArmClient, { name, groupId, location }: Place): Promise<string> {
  const vnet = `${groupId}/providers/Microsoft.Network/virtualNetworks/${name}-net`;
  const subnet = `${vnet}/subnets/default`;
  await client.put(vnet, apiVersions.network, {
    location,
    properties: {
      addressSpace: { addressPrefixes: ["10.1.0.0/16"] },
      subnets: [{ id: subnet, name: "default", properties: { addressPrefix: "10.1.0.0/24" } }],
    },
  });
  return subnet;
}

/** Gives the id of the interface. */
export async function makeNetwork(client: LocalArmClient, { name, groupId, location }: Place): Promise<string> {
  const network = `${groupId}/providers/Microsoft.Network`;
  const subnet = await makeSubnet(client, { name, groupId, location });
  const security = `${network}/networkSecurityGroups/${name}-nsg`;
  const address = `${network}/publicIPAddresses/${name}-ip`;
  const nic = `${network}/networkInterfaces/${name}-nic`;
  const put = (id: string, body: Readonly<Record<string, unknown>>): Promise<void> =>
    client.put(id, apiVersions.network, { location, ...body });
  const allowed = {
    priority: 100,
    direction: "Inbound",
    access: "Allow",
    protocol: "Tcp",
    sourceAddressPrefix: "*",
    sourcePortRange: "*",
    destinationAddressPrefix: "*",
    destinationPortRange: "443",
  };
  await put(security, { properties: { securityRules: [{ name: "https", properties: allowed }] } });
  await put(address, {
    sku: { name: "Standard" },
    properties: { publicIPAllocationMethod: "Static", publicIPAddressVersion: "IPv4" },
  });
  const addresses = {
    primary: true,
    privateIPAllocationMethod: "Static",
    privateIPAddress: "10.1.0.4",
    subnet: { id: subnet },
    publicIPAddress: { id: address },
  };
  await put(nic, {
    properties: {
      ipConfigurations: [{ name: "primary", properties: addresses }],
      networkSecurityGroup: { id: security },
    },
  });
  return nic;
}
