/** Restore points of a VM of Azure that stay at the source for some days: which stay, that their access is given back, and what goes when. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { parsePolicyName, parseVmName, type AttemptId } from "../../../shared/core/ids.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { reconcile } from "../../../shared/operations/reconcile.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";

const mib = 1024 ** 2;
const hourMs = 3_600_000;
const never = new AbortController().signal;
const name = parseVmName("web");
const policy = parsePolicyName("daily");

const newVault = useVaultRegion();

let region: ManagedRegion;
let pipeline: RealPipeline;
let laterMs = 0;

beforeEach(async () => {
  laterMs = 0;
  region = await startManagedRegion({
    now: () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now()),
  });
  pipeline = await createRealPipeline({
    accounts: [],
    ...newVault(),
    armUrl: region.server.url,
  });
  const { clock } = pipeline.context;
  const now = clock.now.bind(clock);
  Object.assign(clock, { now: () => now() + laterMs });
});
afterEach(() => region.stop());

async function protect(vm: ManagedVm, wanted: "application" | "crash"): Promise<void> {
  await addPolicy(pipeline.context, policy, { consistency: { wanted, least: "crash" }, instantRestoreDays: 2 });
  await protectVm(pipeline.context, { name, policy, source: { kind: "managed", resourceId: vm.resourceId } }, never);
}

async function backUpAfter(hours: number): Promise<AttemptId> {
  laterMs += hours * hourMs;
  const run = await pipeline.backup(name);
  if (run.state !== "succeeded") throw new Error(`The run ${run.state}: ${JSON.stringify(run)}`);
  for (const { id } of region.server.arm.resources.all()) expect(region.server.arm.grants.of(id)).toBeUndefined();
  return run.set.attemptId;
}

/** The attempts whose restore points or snapshots the region has, after what was begun to be deleted has gone. */
async function there(): Promise<readonly string[]> {
  await region.client.virtualMachines.get(group, "web");
  const made = region.server.arm.resources.all().filter((one) => /\/(?:restorePoints|snapshots)$/.test(one.type));
  const attempts = made.map(({ id }) => /farside-([0-9A-Z]{26}-\d+)/.exec(id.split("/").at(-1) ?? "")?.[1] ?? id);
  return [...new Set(attempts)];
}

describe.each([
  ["restore points", "application", 2],
  ["incremental snapshots", "crash", 1],
] as const)("With instant-restore days, %s", (_, wanted, disks) => {
  test("of the last days stay, the older go with the next backup or sweep, and their access is given back", async () => {
    const vm = await region.addVm("web", disks);
    await vm.write(0, 0, randomBytes(mib));
    await protect(vm, wanted);
    const first = await backUpAfter(0);
    const second = await backUpAfter(24);
    const third = await backUpAfter(20);
    expect(await there()).toEqual([first, second, third]);
    await vm.write(0, 0, randomBytes(512));
    region.requests.length = 0;
    const fourth = await backUpAfter(10);
    expect(await there()).toEqual([second, third, fourth]);
    // Of its own and of its base: not of all that stay, which would be asked for at every backup.
    expect(region.requests.filter((one) => one.endsWith("/endGetAccess")).length).toBeLessThanOrEqual(3 * disks);
    laterMs += 45 * hourMs;
    await reconcile(pipeline.context, { sweep: "all" }, never);
    expect(await there()).toEqual([fourth]);
    laterMs += 1000 * hourMs;
    await reconcile(pipeline.context, { sweep: "all" }, never);
    expect(await there()).toEqual([fourth]);
  });

  test("stay also where a disk is detached, until their days are over", async () => {
    const vm = await region.addVm("web", 3);
    await protect(vm, wanted === "crash" ? "crash" : "application");
    const first = await backUpAfter(0);
    const storageProfile = {
      osDisk: { createOption: "Attach", osType: "Linux", managedDisk: { id: vm.diskIds[0] } },
      dataDisks: [{ lun: 1, createOption: "Attach", managedDisk: { id: vm.diskIds[2] } }],
    };
    region.server.arm.resources.change(vm.resourceId, { storageProfile });
    const second = await backUpAfter(2);
    expect(await there()).toEqual([first, second]);
    const third = await backUpAfter(48);
    expect(await there()).toEqual([third]);
  });
});
