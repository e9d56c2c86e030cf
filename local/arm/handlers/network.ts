/** Network objects as far as a VM is captured and made again with them: kept as they were given. */
import { randomUUID } from "node:crypto";
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, acceptRemoval, ok, page, refuseStanding } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import { asList, asObject, asText, type Json, nameOf, propertiesOf, type Resource } from "../resources.ts";
import { vmType } from "./virtual-machines.ts";

const kinds = ["networkInterfaces", "publicIPAddresses", "networkSecurityGroups", "virtualNetworks"] as const;
const group = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Network";
const interfaceType = "Microsoft.Network/networkInterfaces";

export const networkRoutes: readonly Route[] = [
  ...kinds.flatMap((kind): readonly Route[] => [
    {
      method: "PUT",
      template: `${group}/${kind}/{name}`,
      handle: (arm, call) => put(arm, call, `Microsoft.Network/${kind}`),
    },
    {
      method: "GET",
      template: `${group}/${kind}/{name}`,
      handle: (arm, call) => ok(arm.resources.require(call.id).body),
    },
    { method: "DELETE", template: `${group}/${kind}/{name}`, handle: remove },
    {
      method: "GET",
      template: `${group}/${kind}`,
      handle: (arm, call) => list(arm, call, `Microsoft.Network/${kind}`),
    },
  ]),
  {
    method: "GET",
    template: `${group}/virtualNetworks/{name}/subnets/{subnet}`,
    handle: (arm, call) => ok(subnetOf(arm, call.id)),
  },
];

function put(arm: Arm, call: ArmCall, type: string): Reply {
  const { id, body, params } = call;
  refuseStanding(arm, call);
  const before = arm.resources.get(id);
  if (type === interfaceType) checkInterface(arm, call);
  const resourceGuid = before === undefined ? randomUUID() : propertiesOf(before)["resourceGuid"];
  const properties = { ...asObject(body["properties"]), resourceGuid, provisioningState: "Updating" };
  const made = arm.resources.put({ id, type, body: { ...body, id, name: params["name"], type, properties } });
  const kind = type.split("/").at(-1) ?? "";
  const answer = { status: 201, first: made.body } as const;
  const finish = (): Json => arm.resources.change(id, { provisioningState: "Succeeded" }).body;
  const onFailure = (): void => void arm.resources.change(id, { provisioningState: "Failed" });
  return accept(arm, { name: `${kind}/write`, finish, onFailure }, answer);
}

/** What refers to a subnet that the region knows must lie in its region, and must not take an address that is taken. */
function checkInterface(arm: Arm, { id, body }: ArmCall): void {
  for (const { subnet, address } of addressesOf(body)) {
    if (subnet === undefined) continue;
    const network = arm.resources.get(networkOf(subnet));
    if (network === undefined) throw invalidReference(id, subnet);
    subnetOf(arm, subnet);
    if (network.body["location"] !== body["location"]) {
      const text = `${id} is in ${String(body["location"])}, and its subnet ${subnet} in ${String(network.body["location"])}.`;
      throw new ServiceError(400, "InvalidResourceReference", text);
    }
    const user = arm.resources.all().find((one) => one.type === interfaceType && uses(one, subnet, address));
    if (address !== undefined && user !== undefined && user.id.toLowerCase() !== id.toLowerCase()) {
      throw new ServiceError(400, "PrivateIPAddressInUse", `The address ${address} is used by ${user.id}.`);
    }
  }
}

interface Address {
  readonly subnet: string | undefined;
  /** Static ones alone: this region gives no others. */
  readonly address: string | undefined;
}

function addressesOf(body: Json): readonly Address[] {
  return asList(asObject(body["properties"])["ipConfigurations"]).map((configuration) => {
    const { subnet, privateIPAddress } = asObject(configuration["properties"]);
    return { subnet: asText(asObject(subnet)["id"]), address: asText(privateIPAddress) };
  });
}

function uses(one: Resource, subnet: string, address: string | undefined): boolean {
  return addressesOf(one.body).some(
    (other) => other.subnet?.toLowerCase() === subnet.toLowerCase() && other.address === address,
  );
}

/** The network that a subnet is part of. */
function networkOf(subnetId: string): string {
  return subnetId.split("/").slice(0, -2).join("/");
}

function subnetOf(arm: Arm, id: string): Json {
  const network = arm.resources.require(networkOf(id));
  const name = nameOf(id).toLowerCase();
  const found = asList(propertiesOf(network)["subnets"]).find((one) => asText(one["name"])?.toLowerCase() === name);
  if (found === undefined) throw new ServiceError(404, "NotFound", `The subnet ${id} was not found.`);
  return { ...found, id };
}

function invalidReference(id: string, subnet: string): ServiceError {
  const text = `Resource ${subnet} referenced by resource ${id} was not found.`;
  return new ServiceError(400, "InvalidResourceReference", text);
}

function list(arm: Arm, call: ArmCall, type: string): Reply {
  const scope = call.id.slice(0, call.id.toLowerCase().indexOf("/providers/"));
  return page(
    call,
    arm.resources.below(scope, type).map(({ body }) => body),
    100,
    call.id,
  );
}

function remove(arm: Arm, { id }: ArmCall): Reply {
  const found = arm.resources.get(id);
  if (found === undefined) return { kind: "done", status: 204 };
  const user = arm.resources.all().find((vm) => {
    const interfaces = asList(asObject(propertiesOf(vm)["networkProfile"])["networkInterfaces"]);
    return vm.type === vmType && interfaces.some((one) => asText(one["id"])?.toLowerCase() === id.toLowerCase());
  });
  if (user !== undefined) throw new ServiceError(400, "NicInUse", `The network interface ${id} is used by ${user.id}.`);
  return acceptRemoval(arm, `${found.type.split("/").at(-1) ?? ""}/delete`, found);
}
