/** What the restorer's role of infra/roles is enough for, and that each of its permissions is needed: the local ARM refuses what it does not allow. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Authorization } from "../../../local/arm/authorization.ts";
import type { RoleDefinition } from "../../../local/arm/role-definition.ts";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { MachineTargetSpec } from "../../../shared/core/machine-restore.ts";
import { parseResourceGroupId } from "../../../shared/core/resource-id.ts";
import type { RestoreRun } from "../../../shared/core/run.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { reconcile } from "../../../shared/operations/reconcile.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { subscriptionId } from "../../support/arm-client.ts";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";
import { everything, readRole, without } from "../../support/roles.ts";

const mib = 1024 ** 2;
const minuteMs = 60_000;
const never = new AbortController().signal;
const name = parseVmName("web");
const subscription = `/subscriptions/${subscriptionId}`;
const groupOf = (one: string): string => `${subscription}/resourceGroups/${one}`;
const restorer = readRole("restorer");
/** What the reconciler of an app that backs the VM up asks besides, by its other role. */
const besides = ["Microsoft.Compute/restorePointCollections/read", "Microsoft.Compute/snapshots/read"];
/** The role's questions to the subscription. */
const questions = ["Microsoft.Compute/skus/read", "Microsoft.Compute/locations/usages/read"];

const newVault = useVaultRegion();

interface Stage {
  readonly region: ManagedRegion;
  readonly pipeline: RealPipeline;
  readonly authorization: Authorization;
}

/** A VM that was backed up by another app; from here on the app has the role at both groups, and its questions at the subscription. */
async function withStage<T>(role: RoleDefinition, work: (stage: Stage) => Promise<T>): Promise<T> {
  const authorization = new Authorization();
  authorization.assign({ principal: "local", role: everything, scope: subscription });
  authorization.assign({ principal: "app", role: readRole("source-reader"), scope: groupOf(group) });
  let pipeline: RealPipeline | undefined;
  const now = () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now());
  const takes = (operation: string) => (operation.startsWith("access") ? 0 : minuteMs);
  const region = await startManagedRegion({ now, takes, authorization });
  try {
    pipeline = await createRealPipeline({
      accounts: [],
      ...newVault(),
      armUrl: region.server.url,
      armPrincipal: "app",
    });
    await backUp(region, pipeline);
    assignRestorer(authorization, role);
    return await work({ region, pipeline, authorization });
  } finally {
    await region.stop();
  }
}

/** At both groups; its questions at the subscription. */
function assignRestorer(authorization: Authorization, role: RoleDefinition): void {
  authorization.unassign("app");
  authorization.forget("app");
  const asked = { ...role, Actions: role.Actions.filter((action) => questions.includes(action)) };
  authorization.assign({ principal: "app", role: asked, scope: subscription });
  for (const one of [group, "dr"]) authorization.assign({ principal: "app", role, scope: groupOf(one) });
  authorization.assign({ principal: "app", role: { ...everything, Actions: besides }, scope: groupOf(group) });
}

async function backUp(region: ManagedRegion, pipeline: RealPipeline): Promise<void> {
  const vm = await region.addVm("web", 2);
  const { resources } = region.server.arm;
  const put = (groupName: string, type: string, location: string, properties: Readonly<Record<string, unknown>>) => {
    const id = `${groupOf(groupName)}/providers/${type}/web`;
    const body = { id, name: "web", type, location, properties: { provisioningState: "Succeeded", ...properties } };
    resources.put({ id, type, body });
    return id;
  };
  for (const [groupName, location] of [
    [group, "westeurope"],
    ["dr", "northeurope"],
  ] as const) {
    const subnets = [{ name: "default", properties: { addressPrefix: "10.0.0.0/24" } }];
    put(groupName, "Microsoft.Network/virtualNetworks", location, { subnets });
    put(groupName, "Microsoft.Network/networkSecurityGroups", location, {});
    put(groupName, "Microsoft.Compute/diskEncryptionSets", location, {});
  }
  const subnet = { id: `${groupOf(group)}/providers/Microsoft.Network/virtualNetworks/web/subnets/default` };
  const applicationSecurityGroups = [
    { id: put(group, "Microsoft.Network/applicationSecurityGroups", "westeurope", {}) },
  ];
  const address = { primary: true, privateIPAddress: "10.0.0.4", subnet, applicationSecurityGroups };
  const ipConfigurations = [{ name: "primary", properties: address }];
  const id = put(group, "Microsoft.Network/networkInterfaces", "westeurope", { ipConfigurations });
  const networkProfile = { networkInterfaces: [{ id, properties: { primary: true } }] };
  resources.change(vm.resourceId, { hardwareProfile: { vmSize: "Standard_D2s_v5" }, networkProfile });
  const user = `${groupOf(group)}/providers/Microsoft.ManagedIdentity/userAssignedIdentities/web`;
  const standing = resources.require(vm.resourceId);
  const identity = { type: "UserAssigned", userAssignedIdentities: { [user]: {} } };
  resources.put({ ...standing, body: { ...standing.body, identity } });
  for (const disk of [0, 1]) await vm.write(disk, 0, randomBytes(mib));
  const { context } = pipeline;
  const policy = await addPolicy(context, "daily", { consistency: { wanted: "application", least: "crash" } });
  await protectVm(context, { name, policy, source: { kind: "managed", resourceId: vm.resourceId } }, never);
  const { state } = await pipeline.backup(name);
  if (state !== "succeeded") throw new Error(`The backup ${state}.`);
}

const inDr = { resourceGroup: parseResourceGroupId(groupOf("dr")), location: "northeurope" } as const;
const ofNetwork = (what: string): string => `${groupOf("dr")}/providers/Microsoft.Network/${what}`;
const toVm = (prefix: string): MachineTargetSpec => ({
  kind: "managed-vm",
  name: prefix,
  namePrefix: prefix,
  ...inDr,
  subnetId: ofNetwork("virtualNetworks/web/subnets/default"),
  networkSecurityGroupId: ofNetwork("networkSecurityGroups/web"),
});

/** Everything that a restore can be. Each may be tried again under another prefix. */
const scenarios: readonly (readonly [outcome: string, restore: (stage: Stage, prefix: string) => Promise<string>])[] = [
  [
    "succeeded",
    (stage, namePrefix) => {
      const diskEncryptionSetId = `${groupOf("dr")}/providers/Microsoft.Compute/diskEncryptionSets/web`;
      return restore(stage, { kind: "managed-disks", ...inDr, namePrefix, diskEncryptionSetId });
    },
  ],
  ["succeeded", (stage, prefix) => restore(stage, toVm(prefix))],
  // In its own network, with the identity and the groups that it has.
  [
    "succeeded",
    (stage, prefix) => {
      const resourceGroup = parseResourceGroupId(groupOf(group));
      return restore(stage, { kind: "managed-vm", name: prefix, namePrefix: prefix, resourceGroup });
    },
  ],
  ["succeeded", (stage, namePrefix) => restore(stage, { kind: "swap-disks", mayStop: true, namePrefix })],
  // From here on no VM can be made: this one is the last.
  [
    "failed, and nothing is left",
    (stage, prefix) => {
      const error = new ServiceError(409, "AllocationFailed", "There is no room for it.");
      stage.region.server.arm.faults.planOperation("virtualMachines/write", { kind: "fails", error }, 50);
      return restore(stage, toVm(prefix));
    },
  ],
];

/** How it ended, and a word for what it noted of what it could not look at. */
async function restore({ pipeline }: Stage, target: MachineTargetSpec): Promise<string> {
  const { context } = pipeline;
  try {
    const request = { vm: name, point: { kind: "latest" }, target } as const;
    const { run } = await requestRestore(context, request, never);
    const ended = await pipeline.drive(run.runId);
    if (ended.kind !== "restore") throw new Error("It is no restore.");
    if (ended.state === "succeeded") {
      const unseen = ended.machine?.notes.some((note) => note.includes("could not be looked at")) ?? false;
      return unseen ? "succeeded blindly" : "succeeded";
    }
    return (await isGone(pipeline, ended))
      ? `${ended.state}, and nothing is left`
      : `${ended.state}, and something is left`;
  } catch (error) {
    if (error instanceof FarsideError) return `refused: ${error.code}`;
    throw error;
  }
}

async function isGone(pipeline: RealPipeline, { runId }: RestoreRun): Promise<boolean> {
  for (let tick = 0; tick < 30; tick++) {
    const run = (await pipeline.context.catalog.runs.get(runId, never))?.value;
    if (run?.kind === "restore" && "cleanUp" in run && run.cleanUp === "done") return true;
    pipeline.advance(2 * minuteMs);
    await reconcile(pipeline.context, { sweep: "all" }, never);
  }
  return false;
}

describe("The restorer's role", () => {
  test("is enough for disks, a new VM, an exchange and for taking back what failed; it holds nothing more, and without any of its permissions one of them fails", async () => {
    await withStage(restorer, async (stage) => {
      const { authorization } = stage;
      const neededBy = new Map<string, number>();
      for (const [index, [outcome, scenario]] of scenarios.entries()) {
        expect([index, await scenario(stage, `well-${index}`), ...authorization.refused("app")]).toEqual([
          index,
          outcome,
        ]);
        for (const action of authorization.asked("app")) if (!neededBy.has(action)) neededBy.set(action, index);
      }
      expect(authorization.refused("app")).toEqual([]);
      for (const action of besides) neededBy.delete(action);
      expect([...neededBy.keys()].sort()).toEqual(restorer.Actions.toSorted());

      const notMissed: string[] = [];
      const inOrder = [...neededBy].toSorted(([, one], [, other]) => one - other);
      for (const [number, [action, index]] of inOrder.entries()) {
        const [outcome, scenario] = scenarios[index] ?? [];
        assignRestorer(authorization, without(restorer, action));
        if ((await scenario?.(stage, `less-${number}`)) === outcome) notMissed.push(action);
        expect(authorization.refused("app").filter((refused) => refused !== action)).toEqual([]);
      }
      expect(notMissed).toEqual([]);
    });
  });
});
