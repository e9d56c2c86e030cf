/** What the roles of infra/roles are enough for, and that each of their permissions is needed: the local ARM refuses what they do not allow. */
import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { Authorization } from "../../../local/arm/authorization.ts";
import { propertiesOf } from "../../../local/arm/resources.ts";
import type { RoleDefinition } from "../../../local/arm/role-definition.ts";
import type { ConsistencyLevel } from "../../../shared/core/consistency.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { BackupRun } from "../../../shared/core/run.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { readConfiguration } from "../../../shared/operations/vault/read-configuration.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { subscriptionId } from "../../support/arm-client.ts";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";
import { everything, readRole, without } from "../../support/roles.ts";

const mib = 1024 ** 2;
const hourMs = 3_600_000;
const never = new AbortController().signal;
const subscription = `/subscriptions/${subscriptionId}`;
const scope = `${subscription}/resourceGroups/${group}`;
const reader = readRole("source-reader");

const newVault = useVaultRegion();

interface Stage {
  readonly region: ManagedRegion;
  readonly pipeline: RealPipeline;
  readonly authorization: Authorization;
  later(ms: number): void;
}

/** A region whose app has the given roles in the VM's resource group, and nothing else. */
async function withStage<T>(roles: readonly RoleDefinition[], work: (stage: Stage) => Promise<T>): Promise<T> {
  const authorization = new Authorization();
  authorization.assign({ principal: "local", role: everything, scope: subscription });
  authorization.assign(...roles.map((role) => ({ principal: "app", role, scope })));
  let aheadMs = 0;
  let pipeline: RealPipeline | undefined;
  const now = () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now()) + aheadMs;
  const region = await startManagedRegion({ now, authorization });
  try {
    pipeline = await createRealPipeline({
      accounts: [],
      ...newVault(),
      armUrl: region.server.url,
      armPrincipal: "app",
    });
    return await work({ region, pipeline, authorization, later: (ms) => void (aheadMs += ms) });
  } finally {
    await region.stop();
  }
}

/** With a network interface and a public address, which are captured. */
async function addVm({ region }: Stage, name: string, disks: number): Promise<ManagedVm> {
  const vm = await region.addVm(name, disks);
  const { resources } = region.server.arm;
  const put = (type: string, properties: Readonly<Record<string, unknown>>): string => {
    const id = `${scope}/providers/${type}/${name}`;
    resources.put({ id, type, body: { id, name, type, location: "westeurope", properties } });
    return id;
  };
  const address = put("Microsoft.Network/publicIPAddresses", {});
  const configuration = { name: "one", properties: { publicIPAddress: { id: address } } };
  const id = put("Microsoft.Network/networkInterfaces", { ipConfigurations: [configuration] });
  resources.change(vm.resourceId, { networkProfile: { networkInterfaces: [{ id }] } });
  for (let disk = 0; disk < disks; disk++) await vm.write(disk, 0, randomBytes(mib));
  return vm;
}

async function protect({ pipeline }: Stage, name: string, vm: ManagedVm, wanted: ConsistencyLevel) {
  const { context } = pipeline;
  const policy = await addPolicy(context, `for-${name}`, {
    consistency: { wanted, least: "crash" },
    retryWindowSeconds: 60,
  });
  const source = { kind: "managed", resourceId: vm.resourceId } as const;
  await protectVm(context, { name: parseVmName(name), policy, source }, never);
}

/** What of a backup did not work: empty where all did. */
async function backUp(stage: Stage, name: string): Promise<readonly string[]> {
  const run: BackupRun = await stage.pipeline.backup(parseVmName(name));
  if (run.state !== "succeeded") return [`${name}: ${"error" in run ? run.error.message : run.state}`];
  const { missing = [] } = await readConfiguration(stage.pipeline.vault, run.set, never);
  return Array.isArray(missing) ? missing.map((id) => `${name}: ${String(id)} is not captured`) : [];
}

/** One VM by restore points and one by snapshots, each in full, then by what changed; then what is left over and should not be. */
async function wholeBackup(stage: Stage): Promise<readonly string[]> {
  const wrong: string[] = [];
  const vms = [
    ["several", 2, "application"],
    ["single", 1, "crash"],
  ] as const;
  for (const [name, disks, wanted] of vms) {
    const vm = await addVm(stage, name, disks);
    try {
      await protect(stage, name, vm, wanted);
      for (const offset of [0, 4 * mib]) {
        await vm.write(0, offset, randomBytes(512));
        wrong.push(...(await backUp(stage, name)));
      }
    } catch (error) {
      wrong.push(error instanceof Error ? error.message : "");
    }
  }
  stage.later(hourMs);
  // What was begun to be deleted ends with the next request.
  await stage.region.client.virtualMachines.get(group, "single");
  const { resources, grants } = stage.region.server.arm;
  const made = resources.all().filter(({ type }) => /\/(?:restorePoints|snapshots)$/.test(type));
  // The bases of both.
  if (made.length !== 2) wrong.push(`${made.length} restore points and snapshots are left`);
  for (const { id } of resources.all()) if (grants.of(id) !== undefined) wrong.push(`${id} has a SAS still`);
  return wrong;
}

describe("The role of the source's reader", () => {
  test("is enough for backups by restore points and by snapshots, in full and by what changed, and for cleaning up, and holds nothing more", async () => {
    await withStage([reader], async (stage) => {
      expect(await wholeBackup(stage)).toEqual([]);
      expect(stage.authorization.refused("app")).toEqual([]);
      expect(stage.authorization.asked("app")).toEqual(reader.Actions.toSorted());
    });
  });

  test.each(reader.Actions)(
    "needs %s: without it a backup fails, or leaves something, or knows less",
    async (action) => {
      await withStage([without(reader, action)], async (stage) => {
        expect(await wholeBackup(stage)).not.toEqual([]);
        expect(stage.authorization.refused("app")).toEqual([action]);
      });
    },
  );

  test("changes no VM and no disk: what a thief of it would try is refused, in ARM's words", async () => {
    await withStage([], async ({ region, authorization }) => {
      const vm = await region.addVm("web", 2);
      authorization.unassign("local");
      authorization.assign({ principal: "local", role: reader, scope });
      const { virtualMachines, disks } = region.client;
      const [, second = ""] = vm.diskIds;
      const diskName = second.split("/").at(-1) ?? "";
      const attempts: readonly (readonly [string, () => PromiseLike<unknown>])[] = [
        ["Microsoft.Compute/virtualMachines/deallocate/action", () => virtualMachines.deallocate(group, "web")],
        ["Microsoft.Compute/virtualMachines/delete", () => virtualMachines.delete(group, "web")],
        ["Microsoft.Compute/virtualMachines/write", () => virtualMachines.update(group, "web", { tags: {} })],
        [
          "Microsoft.Compute/virtualMachines/runCommand/action",
          () => virtualMachines.runCommand(group, "web", { commandId: "RunShellScript" }),
        ],
        ["Microsoft.Compute/disks/write", () => disks.update(group, diskName, { diskSizeGB: 9 })],
        ["Microsoft.Compute/disks/delete", () => disks.delete(group, diskName)],
      ];
      for (const [action, attempt] of attempts) {
        await expect(Promise.resolve(attempt())).rejects.toMatchObject({
          statusCode: 403,
          code: "AuthorizationFailed",
          message: expect.stringContaining(`does not have authorization to perform action '${action}'`),
        });
      }
    });
  });
});

describe("The role of the source's stopper", () => {
  test("stops and starts a VM, beside the reader's, and does nothing else to it", async () => {
    await withStage([], async ({ region, authorization }) => {
      const { resourceId } = await region.addVm("web", 1);
      authorization.unassign("local");
      for (const role of [reader, readRole("source-stopper")])
        authorization.assign({ principal: "local", role, scope });
      const { virtualMachines } = region.client;
      const power = () => propertiesOf(region.server.arm.resources.require(resourceId))["powerState"];
      await virtualMachines.deallocate(group, "web");
      expect(power()).toBe("deallocated");
      await virtualMachines.start(group, "web");
      expect(power()).toBe("running");
      await expect(Promise.resolve(virtualMachines.powerOff(group, "web"))).rejects.toMatchObject({ statusCode: 403 });
      authorization.unassign("local");
      authorization.assign({ principal: "local", role: reader, scope });
      await expect(Promise.resolve(virtualMachines.start(group, "web"))).rejects.toMatchObject({ statusCode: 403 });
    });
  });
});

describe("A role", () => {
  test("is good within its scope alone", async () => {
    await withStage([], async (stage) => {
      const vm = await addVm(stage, "web", 1);
      stage.authorization.assign({ principal: "app", role: reader, scope: `${subscription}/resourceGroups/other` });
      await protect(stage, "web", vm, "crash").catch(() => undefined);
      expect(stage.authorization.refused("app")).toEqual(["Microsoft.Compute/virtualMachines/read"]);
    });
  });
});
