/** What VMs and disks refer to, kept as it was given: only whether it is there, and where, matters here. */
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, ok } from "../arm.ts";
import { nameOf } from "../resources.ts";

const group = "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers";
const kinds = [
  "Microsoft.Compute/availabilitySets",
  "Microsoft.Compute/diskEncryptionSets",
  "Microsoft.Compute/hostGroups",
  "Microsoft.Compute/proximityPlacementGroups",
  "Microsoft.Network/applicationSecurityGroups",
];

export const keptRoutes: readonly Route[] = kinds.flatMap((type): readonly Route[] => [
  { method: "PUT", template: `${group}/${type}/{name}`, handle: (arm, call) => put(arm, call, type) },
  {
    method: "GET",
    template: `${group}/${type}/{name}`,
    handle: (arm, call) => ok(arm.resources.require(call.id).body),
  },
]);

const takeTheirTime = ["Microsoft.Compute/diskEncryptionSets", "Microsoft.Network/applicationSecurityGroups"];

function put(arm: Arm, { id, body }: ArmCall, type: string): Reply {
  const made = arm.resources.put({ id, type, body: { ...body, id, name: nameOf(id), type } });
  if (!takeTheirTime.includes(type)) return ok(made.body);
  const name = `${type.split("/").at(-1) ?? ""}/write`;
  return accept(arm, { name, finish: () => made.body }, { status: 202, first: made.body });
}
