/**
 * Restores of VMs of Azure through the whole pipeline: ARM by the real SDK over the local one, the vault in Azurite. Time passes where the
 * platform takes its own, by the pipeline's clock.
 */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { propertiesOf } from "../../../local/arm/resources.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { MachineTargetSpec } from "../../../shared/core/machine-restore.ts";
import { parseResourceGroupId } from "../../../shared/core/resource-id.ts";
import { hasEnded, type RestoreRun, type Run } from "../../../shared/core/run.ts";
import { cancelRun } from "../../../shared/operations/cancel-run.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { reconcile } from "../../../shared/operations/reconcile.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { bytesOf } from "../../support/machine-restores.ts";
import { diskGib, group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";

const mib = 1024 ** 2;
const gib = diskGib * 1024 ** 3;
const minuteMs = 60_000;
const never = new AbortController().signal;
const name = parseVmName("web");
/** What the guest writes, and what is compared. */
const windows = [
  [0, mib],
  [300 * mib, 3 * mib],
  [gib - 4096, 4096],
] as const;

const newVault = useVaultRegion();

let region: ManagedRegion;
let pipeline: RealPipeline;
let vm: ManagedVm;
/** What each disk held at the restore point. */
let held: readonly (readonly Uint8Array[])[];

/** A running VM with two disks and an interface, backed up and then changed; and a network in another region. */
beforeEach(async () => {
  const now = () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now());
  region = await startManagedRegion({ now, takes: (operation) => (operation.startsWith("access") ? 0 : minuteMs) });
  pipeline = await createRealPipeline({
    accounts: [],
    ...newVault(),
    armUrl: region.server.url,
  });
  vm = await region.addVm("web", 2);
  addNetworks();
  for (const disk of [0, 1]) for (const [offset, length] of windows) await vm.write(disk, offset, randomBytes(length));
  held = await Promise.all([0, 1].map(async (disk) => contentOf(vm.diskIds[disk] ?? "")));
  await protect();
  const { state } = await pipeline.backup(name);
  if (state !== "succeeded") throw new Error(`The backup ${state}.`);
  for (const disk of [0, 1]) await vm.write(disk, 512, randomBytes(mib));
  // What was begun to be deleted ends in the region's own time.
  pipeline.advance(60 * minuteMs);
  await region.client.virtualMachines.get(group, "web");
});
afterEach(() => region.stop());

const subscription = () => vm.resourceId.split("/").slice(0, 3).join("/");
const inGroup = (name: string) => parseResourceGroupId(`${subscription()}/resourceGroups/${name}`);
const subnetOf = (groupName: string) =>
  `${inGroup(groupName)}/providers/Microsoft.Network/virtualNetworks/net/subnets/default`;

function addNetworks(): void {
  const { resources } = region.server.arm;
  const put = (id: string, type: string, location: string, properties: Readonly<Record<string, unknown>>) =>
    resources.put({ id, type, body: { id, name: id.split("/").at(-1), type, location, properties } });
  for (const [groupName, location] of [
    [group, "westeurope"],
    ["dr", "northeurope"],
  ] as const) {
    const id = `${inGroup(groupName)}/providers/Microsoft.Network/virtualNetworks/net`;
    const subnets = [{ name: "default", properties: { addressPrefix: "10.0.0.0/24" } }];
    put(id, "Microsoft.Network/virtualNetworks", location, { subnets, provisioningState: "Succeeded" });
  }
  const nic = `${inGroup(group)}/providers/Microsoft.Network/networkInterfaces/web-nic`;
  put(nic, "Microsoft.Network/networkInterfaces", "westeurope", {
    provisioningState: "Succeeded",
    ipConfigurations: [
      {
        name: "primary",
        properties: { primary: true, privateIPAddress: "10.0.0.4", subnet: { id: subnetOf(group) } },
      },
    ],
  });
  resources.change(vm.resourceId, {
    hardwareProfile: { vmSize: "Standard_D2s_v5" },
    networkProfile: { networkInterfaces: [{ id: nic, properties: { primary: true } }] },
  });
}

async function protect(): Promise<void> {
  const { context } = pipeline;
  const policy = await addPolicy(context, "daily", { consistency: { wanted: "application", least: "crash" } });
  await protectVm(context, { name, policy, source: { kind: "managed", resourceId: vm.resourceId } }, never);
}

const contentOf = (id: string) =>
  Promise.all(windows.map(async ([offset, length]) => bytesOf(region, id, offset, length)));

async function ask(target: MachineTargetSpec): Promise<RestoreRun> {
  const request = { vm: name, point: { kind: "latest" }, target } as const;
  return (await requestRestore(pipeline.context, request, never)).run;
}

async function driven(run: RestoreRun): Promise<RestoreRun> {
  const ended = await pipeline.drive(run.runId);
  if (ended.kind !== "restore") throw new Error("It is no restore.");
  return ended;
}

async function succeeded(target: MachineTargetSpec): Promise<RestoreRun & { readonly state: "succeeded" }> {
  const run = await driven(await ask(target));
  if (run.state === "succeeded") return run;
  throw new Error(`The run ${run.state}: ${"error" in run ? `${run.error.code} ${run.error.message}` : ""}`);
}

/** Ticks of the reconciler, minutes apart, until nothing of the run is left to be cleaned up. */
async function settled(runId: RestoreRun["runId"]): Promise<RestoreRun> {
  for (let tick = 0; tick < 60; tick++) {
    const run = (await pipeline.context.catalog.runs.get(runId, never))?.value;
    if (run?.kind === "restore" && "cleanUp" in run && run.cleanUp === "done") return run;
    pipeline.advance(2 * minuteMs);
    await reconcile(pipeline.context, { sweep: "all" }, never);
  }
  throw new Error(`The run ${runId} was not cleaned up in two hours.`);
}

async function isOfThePoint(run: RestoreRun): Promise<void> {
  expect(run.disks).toHaveLength(2);
  for (const [number, disk] of run.disks.entries()) {
    const now = await contentOf(disk.url);
    expect(now.map((bytes, window) => Buffer.compare(bytes, held[number]?.[window] ?? Buffer.alloc(0)))).toEqual([
      0, 0, 0,
    ]);
  }
}

/** The disks that a VM has, and whether it runs. */
async function standing(groupName: string, vmName: string) {
  const found = await region.client.virtualMachines.get(groupName, vmName, { expand: "instanceView" });
  const { osDisk, dataDisks = [] } = found.storageProfile ?? {};
  const power = found.instanceView?.statuses?.map(({ code }) => code).find((code) => code?.startsWith("PowerState/"));
  return { disks: [osDisk, ...dataDisks].map((disk) => disk?.managedDisk?.id?.toLowerCase()), power };
}

const ids = () =>
  region.server.arm.resources
    .all()
    .map(({ id }) => id.toLowerCase())
    .sort();
const grants = () =>
  region.server.arm.resources.all().filter(({ id }) => region.server.arm.grants.of(id) !== undefined);

const toDisks = (): MachineTargetSpec => ({
  kind: "managed-disks",
  resourceGroup: inGroup("dr"),
  location: "northeurope",
  sku: "Premium_LRS",
});
const toVm = (): MachineTargetSpec => ({
  kind: "managed-vm",
  name: "twin",
  resourceGroup: inGroup("dr"),
  location: "northeurope",
  subnetId: subnetOf("dr"),
  networkSecurityGroupId: "none",
});
const swap: MachineTargetSpec = { kind: "swap-disks", mayStop: true };

describe("A VM of Azure is restored", () => {
  test("to managed disks in another region, byte for byte, and nothing else is made", async () => {
    const before = ids();
    const run = await succeeded(toDisks());
    await isOfThePoint(run);
    expect(ids()).toEqual([...before, ...run.disks.map(({ url }) => url.toLowerCase())].sort());
    expect(run.machine?.made.map(({ kind, id }) => [kind, id])).toEqual(run.disks.map(({ url }) => ["disk", url]));
    const disk = await region.client.disks.get("dr", run.disks[0]?.url.split("/").at(-1) ?? "");
    expect(disk).toMatchObject({ location: "northeurope", sku: { name: "Premium_LRS" } });
    expect(grants()).toEqual([]);
  });

  test("as a new VM in another region and resource group, which runs on the restored disks", async () => {
    const run = await succeeded(toVm());
    await isOfThePoint(run);
    expect(await standing("dr", "twin")).toEqual({
      disks: run.disks.map(({ url }) => url.toLowerCase()),
      power: "PowerState/running",
    });
    expect(run.machine?.made.map(({ kind }) => kind)).toEqual(["disk", "disk", "network-interface", "vm"]);
    expect(run.machine?.notes).not.toEqual([]);
    expect(await standing(group, "web")).toMatchObject({ power: "PowerState/running" });
    expect(grants()).toEqual([]);
  });

  test("by an exchange of its disks: it runs again, the old ones stay, and the next backup is of the new ones", async () => {
    const old = (await standing(group, "web")).disks;
    const run = await succeeded(swap);
    await isOfThePoint(run);
    expect(await standing(group, "web")).toEqual({
      disks: run.disks.map(({ url }) => url.toLowerCase()),
      power: "PowerState/running",
    });
    const detached = run.machine?.made.filter(({ kind }) => kind === "detached-disk").map(({ id }) => id.toLowerCase());
    expect(detached).toEqual(old);
    for (const id of old) expect(ids()).toContain(id);
    expect(await pipeline.backup(name)).toMatchObject({ state: "succeeded" });
    const again = await succeeded(toDisks());
    await isOfThePoint(again);
  });
});

describe("A restore of a VM of Azure that is cancelled", () => {
  const finishing = (run: Run): boolean => run.state === "finishing" && run.pending?.operation !== undefined;
  const isStopped = (): boolean => !/running/i.test(String(web()["powerState"]));
  const isBeingStopped = (): boolean => region.requests.some((request) => /^POST .*\/deallocate/.test(request));
  const isExchanged = (): boolean => !JSON.stringify(web()["storageProfile"]).includes(vm.diskIds[0] ?? "");
  const hasTwin = (): boolean => ids().some((id) => id.endsWith("/virtualmachines/twin"));
  const web = () => propertiesOf(region.server.arm.resources.require(vm.resourceId));

  test.each([
    ["disks, while they are made", toDisks, (run: Run) => run.state === "preparing" && run.pending !== undefined],
    ["disks, while they are written", toDisks, (run: Run) => run.state === "copying"],
    ["a VM, before it is made", toVm, finishing],
    ["a VM, while it is made", toVm, (run: Run) => finishing(run) && hasTwin()],
    ["an exchange, while its disks are finished", () => swap, finishing],
    ["an exchange, while the VM is being stopped", () => swap, (run: Run) => finishing(run) && isBeingStopped()],
    [
      "an exchange that is done but for the start",
      () => swap,
      (run: Run) => finishing(run) && isStopped() && isExchanged(),
    ],
  ] as const)("leaves nothing: %s", async (_, target, until) => {
    const before = ids();
    const stood = await standing(group, "web");
    const run = await ask(target());
    expect(hasEnded(await pipeline.drive(run.runId, until))).toBe(false);
    await cancelRun(pipeline.context, run, never);
    expect(await settled(run.runId)).toMatchObject({ state: "cancelled", cleanUp: "done" });
    pipeline.advance(60 * minuteMs);
    expect(await standing(group, "web")).toEqual(stood);
    expect(ids()).toEqual(before);
    expect(grants()).toEqual([]);
  });
});

describe("A restore of a VM of Azure, in trouble:", () => {
  test("a VM that cannot be made fails the run with the reason, and nothing is left", async () => {
    const before = ids();
    const error = new ServiceError(409, "AllocationFailed", "The region has no room for this size.");
    region.server.arm.faults.planOperation("virtualMachines/write", { kind: "fails", error }, 100);
    const run = await driven(await ask(toVm()));
    expect(run).toMatchObject({
      state: "failed",
      error: { message: expect.stringContaining("no room for this size") },
    });
    await settled(run.runId);
    pipeline.advance(60 * minuteMs);
    await standing(group, "web");
    expect(ids()).toEqual(before);
  });

  test("a 429 with a Retry-After of 1,200 s puts off this run for as long", async () => {
    const throttled = new ServiceError(429, "OperationNotAllowed", "Too many.", { "Retry-After": "1200" });
    const fault = region.server.arm.faults.planRequest(/^PUT .*\/disks\//, throttled);
    const before = pipeline.context.clock.now();
    await isOfThePoint(await succeeded(toDisks()));
    expect(fault.happened()).toBe(1);
    expect(pipeline.context.clock.now() - before).toBeGreaterThan(1_200_000);
  });
});
