/** One VM of Azure that two deployments back up, each into its own vault: neither touches what the other has made of it. */
import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { attemptId, parsePolicyName, parseVmName } from "../../../shared/core/ids.ts";
import { scheduledRunId } from "../../../shared/core/schedule-slots.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import { vmIdOf } from "../../../shared/core/vm.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { unprotectVm } from "../../../shared/operations/manage/unprotect-vm.ts";
import { reconcile } from "../../../shared/operations/reconcile.ts";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";

const hourMs = 3_600_000;
const never = new AbortController().signal;
const name = parseVmName("web");
const policy = parsePolicyName("daily");

const newVault = useVaultRegion();

let region: ManagedRegion;
let one: RealPipeline;
let other: RealPipeline;
let laterMs = 0;

beforeEach(async () => {
  laterMs = 0;
  region = await startManagedRegion({ now: () => Date.now() + laterMs });
  [one, other] = [await deployment(), await deployment()];
});
afterEach(() => region.stop());

async function deployment(): Promise<RealPipeline> {
  const pipeline = await createRealPipeline({
    accounts: [],
    ...newVault(),
    armUrl: region.server.url,
  });
  const { clock } = pipeline.context;
  const now = clock.now.bind(clock);
  Object.assign(clock, { now: () => now() + laterMs });
  return pipeline;
}

async function protect({ context }: RealPipeline, vm: ManagedVm, wanted: "application" | "crash"): Promise<void> {
  const now = timestamp(context.clock.now());
  await context.catalog.policies.insert(
    {
      name: policy,
      retention: { keepLast: 30 },
      consistency: { wanted, least: "crash" },
      rpoSeconds: 86_400,
      retryWindowSeconds: 4 * 3600,
      freezeTtlSeconds: 20,
      pauseReplication: false,
      usnRollback: "warn",
      createdAt: now,
      updatedAt: now,
    },
    never,
  );
  await protectVm(context, { name, policy, source: { kind: "managed", resourceId: vm.resourceId } }, never);
}

async function backUp(pipeline: RealPipeline) {
  laterMs += hourMs;
  const run = await pipeline.backup(name);
  if (run.state !== "succeeded") throw new Error(`The run ${run.state}: ${JSON.stringify(run)}`);
  return { attempt: run.set.attemptId, modes: run.disks.map(({ mode }) => mode) };
}

/** The attempts of which something is in the region, after what was begun to be deleted has gone. */
async function there(): Promise<readonly string[]> {
  laterMs += hourMs;
  await region.client.virtualMachines.get(group, "web");
  const made = region.server.arm.resources.all().filter(({ type }) => /\/(?:restorePoints|snapshots)$/.test(type));
  return made.map(({ id }) => /farside-([0-9A-Z]{26}-\d+)/.exec(id.split("/").at(-1) ?? "")?.[1] ?? id).sort();
}

describe.each([
  ["restore points", "application", 2],
  ["incremental snapshots", "crash", 1],
] as const)("Two deployments that back up one VM by %s", (_, wanted, disks) => {
  test("keep their bases, whatever the other one sweeps, replaces and ends", async () => {
    const vm = await region.addVm("web", disks);
    await vm.write(0, 0, randomBytes(4096));
    for (const pipeline of [one, other]) await protect(pipeline, vm, wanted);
    const ours = await backUp(one);
    const theirs = await backUp(other);
    laterMs += 100 * hourMs;
    for (const { context } of [one, other]) await reconcile(context, { sweep: "all" }, never);
    expect(await there()).toEqual([ours.attempt, theirs.attempt].sort());

    await vm.write(0, 0, randomBytes(512));
    const next = await backUp(one);
    expect(new Set(next.modes)).toEqual(new Set(["incremental"]));
    expect(await there()).toEqual([next.attempt, theirs.attempt].sort());

    await unprotectVm(one.context, { name }, never);
    expect(await there()).toEqual([theirs.attempt]);
    expect(new Set((await backUp(other)).modes)).toEqual(new Set(["incremental"]));
  });

  test("make each its own where their schedules give both runs one id", async () => {
    const vm = await region.addVm("web", disks);
    const runId = scheduledRunId(vmIdOf(name), timestamp(one.context.clock.now()));
    const attempt = { runId, attemptId: attemptId(runId, 1), wanted };
    const list: string[][] = [];
    for (const pipeline of [one, other]) {
      await protect(pipeline, vm, wanted);
      const row = (await pipeline.context.catalog.vms.get(name, never))?.value;
      if (row === undefined) throw new Error("It is protected.");
      const source = pipeline.context.source("managed");
      await source.snapshot(row, (await source.inspect(row, never)).disks, attempt, never);
      laterMs += hourMs;
      list.push((await source.listSnapshots(row, never)).map(({ reference }) => reference["id"] ?? ""));
    }
    expect(list.map((ids) => ids.length)).toEqual([disks, disks]);
    expect(new Set(list.flat()).size).toBe(2 * disks);
  });
});
