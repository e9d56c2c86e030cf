/** Network objects as far as a VM is captured and made again with them: kept as they were given. */
import { randomUUID } from "node:crypto";
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, ok, page } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import { asList, asObject, asText, propertiesOf } from "../resources.ts";
import { vmType } from "./virtual-machines.ts";

const kinds = ["networkInterfaces", "publicIPAddresses", "networkSecurityGroups", "virtualNetworks"] as const;
const group = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Network";

export const networkRoutes: readonly Route[] = kinds.flatMap((kind): readonly Route[] => [
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
  { method: "GET", template: `${group}/${kind}`, handle: (arm, call) => list(arm, call, `Microsoft.Network/${kind}`) },
]);

function put(arm: Arm, { id, body, params }: ArmCall, type: string): Reply {
  const before = arm.resources.get(id);
  const resourceGuid = before === undefined ? randomUUID() : propertiesOf(before)["resourceGuid"];
  const properties = { ...asObject(body["properties"]), resourceGuid, provisioningState: "Succeeded" };
  const made = arm.resources.put({ id, type, body: { ...body, id, name: params["name"], type, properties } });
  const kind = type.split("/").at(-1) ?? "";
  const answer = { status: 201, first: made.body } as const;
  return accept(arm, { name: `${kind}/write`, finish: () => made.body }, answer);
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
  const finish = (): undefined => {
    arm.resources.remove(id);
    return undefined;
  };
  return accept(arm, { name: `${found.type.split("/").at(-1) ?? ""}/delete`, finish });
}
