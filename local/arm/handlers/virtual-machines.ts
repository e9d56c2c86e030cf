/** Virtual machines: their model, their power state, commands run in them. */
import { randomUUID } from "node:crypto";
import type { Arm, ArmCall, Reply, Route } from "../arm.ts";
import { accept, ok, page } from "../arm.ts";
import { ServiceError } from "../service-error.ts";
import { asList, asObject, asText, type Json, propertiesOf, type Resource } from "../resources.ts";
import { attachedTo, disksOf, invalid } from "./disks.ts";

export const vmType = "Microsoft.Compute/virtualMachines";
const inGroup =
  "/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}/providers/Microsoft.Compute/virtualMachines";

export const virtualMachineRoutes: readonly Route[] = [
  { method: "PUT", template: `${inGroup}/{vmName}`, handle: putVm },
  { method: "PATCH", template: `${inGroup}/{vmName}`, handle: patchVm },
  { method: "GET", template: `${inGroup}/{vmName}`, handle: getVm },
  { method: "DELETE", template: `${inGroup}/{vmName}`, handle: deleteVm },
  {
    method: "GET",
    template: `${inGroup}/{vmName}/instanceView`,
    handle: (arm, call) => ok(instanceView(arm.resources.require(call.id))),
  },
  { method: "GET", template: `${inGroup}/{vmName}/extensions`, handle: listExtensions },
  { method: "GET", template: inGroup, handle: listVms },
  {
    method: "GET",
    template: "/subscriptions/{subscriptionId}/providers/Microsoft.Compute/virtualMachines",
    handle: listVms,
  },
  {
    method: "POST",
    template: `${inGroup}/{vmName}/deallocate`,
    handle: (arm, call) => power(arm, call, "deallocated"),
  },
  { method: "POST", template: `${inGroup}/{vmName}/powerOff`, handle: (arm, call) => power(arm, call, "stopped") },
  { method: "POST", template: `${inGroup}/{vmName}/start`, handle: (arm, call) => power(arm, call, "running") },
  { method: "POST", template: `${inGroup}/{vmName}/runCommand`, handle: runCommand },
];

/** What only this server knows of a VM; never shown in its model. */
const hidden = ["powerState"] as const;

function shown(vm: Resource): Json {
  const properties = Object.entries(propertiesOf(vm)).filter(([name]) => !hidden.some((one) => one === name));
  return { ...vm.body, properties: Object.fromEntries(properties) };
}

function getVm(arm: Arm, call: ArmCall): Reply {
  const vm = arm.resources.require(call.id);
  const expand = (call.query.get("$expand") ?? "").split(",");
  const properties = asObject(shown(vm)["properties"]);
  const { userData, ...model } = properties;
  const view = expand.includes("instanceView") ? { instanceView: instanceView(vm) } : {};
  const user = expand.includes("userData") && userData !== undefined ? { userData } : {};
  return ok({ ...vm.body, properties: { ...model, ...view, ...user } });
}

function listVms(arm: Arm, call: ArmCall): Reply {
  const scope = call.id.slice(0, call.id.toLowerCase().indexOf("/providers/"));
  return page(call, arm.resources.below(scope, vmType).map(shown), 50, call.id);
}

function instanceView(vm: Resource): Json {
  const { powerState, provisioningState, extensionStates } = propertiesOf(vm);
  const state = asText(powerState) ?? "running";
  const done = provisioningState === "Succeeded" ? "succeeded" : String(provisioningState).toLowerCase();
  return {
    statuses: [
      { code: `ProvisioningState/${done}`, level: "Info", displayStatus: `Provisioning ${done}` },
      { code: `PowerState/${state}`, level: "Info", displayStatus: `VM ${state}` },
    ],
    ...(state === "running"
      ? {
          vmAgent: {
            vmAgentVersion: "2.9.1.1",
            statuses: [{ code: "ProvisioningState/succeeded", level: "Info", displayStatus: "Ready" }],
          },
        }
      : {}),
    ...(extensionStates === undefined ? {} : { extensions: extensionStates }),
  };
}

function listExtensions(arm: Arm, call: ArmCall): Reply {
  const vm = arm.resources.require(call.id);
  return ok({ value: asList(vm.body["resources"]) });
}

function putVm(arm: Arm, call: ArmCall): Reply {
  const { id, body } = call;
  const before = arm.resources.get(id);
  const properties = asObject(body["properties"]);
  checkModel(arm, id, properties);
  const resource: Resource = {
    id,
    type: vmType,
    body: {
      ...body,
      id,
      name: call.params["vmName"],
      type: vmType,
      properties: {
        vmId: before === undefined ? randomUUID() : propertiesOf(before)["vmId"],
        timeCreated: before === undefined ? new Date(arm.now()).toISOString() : propertiesOf(before)["timeCreated"],
        ...properties,
        powerState: before === undefined ? "running" : propertiesOf(before)["powerState"],
        provisioningState: before === undefined ? "Creating" : "Updating",
      },
    },
  };
  arm.resources.put(resource);
  const status = before === undefined ? 201 : 200;
  return accept(arm, { name: "virtualMachines/write", ...ending(arm, id) }, { status, first: shown(resource) });
}

/** Replaces the OS disk, the data disks, the tags. */
function patchVm(arm: Arm, { id, body }: ArmCall): Reply {
  const before = arm.resources.require(id);
  const { storageProfile, ...rest } = asObject(body["properties"]);
  const profile = { ...asObject(propertiesOf(before)["storageProfile"]), ...asObject(storageProfile) };
  checkModel(arm, id, { storageProfile: profile });
  const { properties: _, ...top } = body;
  const { body: model } = arm.resources.change(id, { ...rest, storageProfile: profile, provisioningState: "Updating" });
  const changed = arm.resources.put({ ...before, body: { ...model, ...top } });
  return accept(arm, { name: "virtualMachines/write", ...ending(arm, id) }, { status: 200, first: shown(changed) });
}

function ending(arm: Arm, id: string) {
  return {
    finish: (): Json => shown(arm.resources.change(id, { provisioningState: "Succeeded" })),
    onFailure: (): void => void arm.resources.change(id, { provisioningState: "Failed" }),
  };
}

function checkModel(arm: Arm, id: string, properties: Json): void {
  const profile = asObject(properties["storageProfile"]);
  if (asObject(profile["osDisk"])["createOption"] !== "Attach")
    throw invalid("This region makes VMs of attached disks alone.");
  if (properties["osProfile"] !== undefined) throw invalid("osProfile is not allowed with a specialised disk.");
  const luns = asList(profile["dataDisks"]).map(({ lun }) => lun);
  if (new Set(luns).size !== luns.length) throw invalid("Two data disks have one LUN.");
  for (const disk of disksOf({ id, type: vmType, body: { properties } })) {
    const { diskState } = propertiesOf(arm.resources.require(disk));
    if (diskState === "ReadyToUpload" || diskState === "ActiveUpload") {
      throw new ServiceError(
        409,
        "OperationNotAllowed",
        `The disk ${disk} is being uploaded: call EndGetAccess first.`,
      );
    }
    const owner = attachedTo(arm, disk);
    if (owner !== undefined && owner.id.toLowerCase() !== id.toLowerCase()) {
      throw new ServiceError(409, "AttachDiskWhileBeingDetached", `The disk ${disk} is attached to ${owner.id}.`);
    }
  }
}

function deleteVm(arm: Arm, { id }: ArmCall): Reply {
  if (arm.resources.get(id) === undefined) return { kind: "done", status: 204 };
  const finish = (): undefined => {
    arm.resources.remove(id);
    return undefined;
  };
  return accept(arm, { name: "virtualMachines/delete", finish });
}

function power(arm: Arm, { id }: ArmCall, state: "running" | "stopped" | "deallocated"): Reply {
  arm.resources.require(id);
  const finish = (): undefined => {
    arm.resources.change(id, { powerState: state });
    return undefined;
  };
  const name = { running: "start", stopped: "powerOff", deallocated: "deallocate" }[state];
  return accept(arm, { name: `virtualMachines/${name}`, finish });
}

function runCommand(arm: Arm, { id, body }: ArmCall): Reply {
  const vm = arm.resources.require(id);
  if (propertiesOf(vm)["powerState"] !== "running") {
    throw new ServiceError(409, "OperationNotAllowed", `Run command needs a running VM: ${id} is not.`);
  }
  if (asText(body["commandId"]) === undefined) throw invalid("commandId is missing.");
  const finish = (): Json => ({
    value: [
      { code: "ComponentStatus/StdOut/succeeded", level: "Info", displayStatus: "Provisioning succeeded", message: "" },
      { code: "ComponentStatus/StdErr/succeeded", level: "Info", displayStatus: "Provisioning succeeded", message: "" },
    ],
  });
  return accept(arm, { name: "virtualMachines/runCommand", finish });
}
