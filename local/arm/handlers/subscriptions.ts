/** What is asked of a subscription and its resource groups: whether a group is there, what is allowed in it, what a region offers. */
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { ok, page } from "../arm.ts";
import { nameOf } from "../resources.ts";
import { ServiceError } from "../service-error.ts";
import { invalid } from "./disks.ts";
import { keptRoutes } from "./kept.ts";

const subscription = "/subscriptions/{subscriptionId}";
const group = `${subscription}/resourceGroups/{resourceGroupName}`;
const type = "Microsoft.Resources/resourceGroups";

export const subscriptionRoutes: readonly Route[] = [
  ...keptRoutes,
  { method: "PUT", template: group, handle: putGroup },
  { method: "GET", template: group, handle: getGroup },
  {
    method: "GET",
    template: `${group}/providers/Microsoft.Authorization/permissions`,
    handle: (arm, call) => {
      const scope = call.id.slice(0, call.id.toLowerCase().indexOf("/providers/"));
      return ok({ value: arm.offers.permissions(scope) });
    },
  },
  { method: "GET", template: `${subscription}/providers/Microsoft.Compute/skus`, handle: listSkus },
  {
    method: "GET",
    template: `${subscription}/providers/Microsoft.Compute/locations/{location}/usages`,
    handle: (arm, { params }) => ok({ value: arm.offers.usages(params["location"] ?? "") }),
  },
];

function putGroup(arm: Arm, { id, body }: ArmCall): Reply {
  const properties = { provisioningState: "Succeeded" };
  const made = arm.resources.put({ id, type, body: { ...body, id, name: nameOf(id), type, properties } });
  return { kind: "done", status: 201, body: made.body };
}

/** A group in which something was made is there as well, so that tests need not make them all. */
function getGroup(arm: Arm, { id }: ArmCall): Reply {
  const found = arm.resources.get(id);
  if (found !== undefined) return ok(found.body);
  const within = arm.resources.all().find((one) => one.id.toLowerCase().startsWith(`${id.toLowerCase()}/`));
  const { location = "westeurope" } = within?.body ?? {};
  const properties = { provisioningState: "Succeeded" };
  if (within !== undefined) return ok({ id, name: nameOf(id), type, location, properties });
  throw new ServiceError(404, "ResourceGroupNotFound", `Resource group '${nameOf(id)}' could not be found.`);
}

function listSkus(arm: Arm, call: ArmCall): Reply {
  const filter = call.query.get("$filter") ?? undefined;
  const location = /^location eq '([^']*)'$/.exec(filter ?? "")?.[1];
  if (filter !== undefined && location === undefined) {
    throw invalid(`The filter ${filter} is not supported: only the location is.`);
  }
  return page(call, arm.offers.skus(location), 5, call.id);
}
