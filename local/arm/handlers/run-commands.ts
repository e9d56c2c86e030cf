/** Managed run commands ("Run scripts in your VM by using managed Run Commands"): kept as resources of their VM. No script runs here. */
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, ok, page } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import { asObject, type Json, propertiesOf, type Resource } from "../resources.ts";
import { invalid } from "./disks.ts";

const type = "Microsoft.Compute/virtualMachines/runCommands";
const commands =
  "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/virtualMachines/{vmName}/runCommands";

export const runCommandRoutes: readonly Route[] = [
  { method: "PUT", template: `${commands}/{runCommandName}`, handle: putCommand },
  { method: "GET", template: `${commands}/{runCommandName}`, handle: getCommand },
  { method: "DELETE", template: `${commands}/{runCommandName}`, handle: deleteCommand },
  { method: "GET", template: commands, handle: listCommands },
];

function putCommand(arm: Arm, { id, body, params }: ArmCall): Reply {
  const vm = arm.resources.require(id.slice(0, id.toLowerCase().lastIndexOf("/runcommands/")));
  if (propertiesOf(vm)["powerState"] !== "running") {
    throw new ServiceError(409, "OperationNotAllowed", `Run command needs a running VM: ${vm.id} is not.`);
  }
  const { source, protectedParameters: _, ...properties } = asObject(body["properties"]);
  if (Object.keys(asObject(source)).length !== 1) throw invalid("source has one of script, scriptUri and commandId.");
  const made = arm.resources.put({
    id,
    type,
    body: {
      ...body,
      id,
      name: params["runCommandName"],
      type,
      location: vm.body["location"],
      properties: { ...properties, source, provisioningState: "Creating" },
    },
  });
  const finish = (): Json => {
    const time = new Date(arm.now()).toISOString();
    const instanceView = {
      executionState: "Succeeded",
      exitCode: 0,
      output: "",
      error: "",
      startTime: time,
      endTime: time,
    };
    return shown(arm.resources.change(id, { provisioningState: "Succeeded", instanceView }));
  };
  const onFailure = (): void => void arm.resources.change(id, { provisioningState: "Failed" });
  return accept(arm, { name: "runCommands/write", finish, onFailure }, { status: 201, first: shown(made) });
}

function getCommand(arm: Arm, { id, query }: ArmCall): Reply {
  const found = arm.resources.require(id);
  return ok(query.get("$expand") === "instanceView" ? found.body : shown(found));
}

function listCommands(arm: Arm, call: ArmCall): Reply {
  const vmId = call.id.slice(0, call.id.lastIndexOf("/"));
  arm.resources.require(vmId);
  return page(call, arm.resources.below(vmId, type).map(shown), 100, call.id);
}

function deleteCommand(arm: Arm, { id }: ArmCall): Reply {
  if (arm.resources.get(id) === undefined) return { kind: "done", status: 204 };
  const finish = (): undefined => {
    arm.resources.remove(id);
    return undefined;
  };
  return accept(arm, { name: "runCommands/delete", finish });
}

/** Without what is shown on demand alone. */
function shown({ body }: Resource): Json {
  const { instanceView: _, ...properties } = asObject(body["properties"]);
  return { ...body, properties };
}
