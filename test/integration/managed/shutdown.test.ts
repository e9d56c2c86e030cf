/** VMs of Azure that are stopped for their snapshots: ARM by the real SDK over the local one, the vault in Azurite, time by the pipeline's clock. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { BackupRun, Run } from "../../../shared/core/run.ts";
import { listAll } from "../../../shared/operations/list-all.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import type { Context } from "../../../shared/operations/context.ts";
import { runStep } from "../../../shared/operations/run-step.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import { readManifest } from "../../../shared/operations/vault/list-restore-points.ts";
import { addPolicy } from "../../support/add-policy.ts";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";
import { gated } from "../../support/simulation/gated.ts";
import { Death } from "../../support/simulation/process.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { useVaultRegion } from "../../support/vault-region.ts";

const mib = 1024 ** 2;
const hourMs = 3_600_000;
const never = new AbortController().signal;
const name = parseVmName("web");

const newVault = useVaultRegion();

let region: ManagedRegion;
let pipeline: RealPipeline;
let vm: ManagedVm;
let laterMs = 0;

beforeEach(async () => {
  laterMs = 0;
  const now = () => (pipeline === undefined ? Date.now() : pipeline.context.clock.now()) + laterMs;
  // Minutes to stop, half a minute to start, seconds for the rest.
  const takes = (operation: string) =>
    ({ deallocate: 100_000, start: 30_000, write: 5000 })[operation.split("/")[1] ?? ""] ?? 0;
  region = await startManagedRegion({ now, takes });
  pipeline = await createRealPipeline({
    accounts: [],
    ...newVault(),
    armUrl: region.server.url,
    reconciles: true,
  });
  vm = await region.addVm("web", 2);
  await vm.write(0, 0, randomBytes(mib));
  await vm.write(1, 0, randomBytes(mib));
  const policy = await addPolicy(pipeline.context, "nightly", {
    consistency: { wanted: "application", least: "filesystem" },
    shutdown: true,
  });
  await protectVm(pipeline.context, { name, policy, source: { kind: "managed", resourceId: vm.resourceId } }, never);
});
afterEach(() => region.stop());

const faults = () => region.server.arm.faults;

function succeeded(run: Run) {
  if (run.kind === "backup" && run.state === "succeeded") return run;
  throw new Error(`The run ${run.state}: ${"error" in run ? `${run.error.code} ${run.error.message}` : ""}`);
}

async function power(): Promise<string> {
  const { statuses = [] } = await region.client.virtualMachines.instanceView(group, "web");
  return statuses.find(({ code }) => code?.startsWith("PowerState/"))?.code ?? "";
}

async function rowOf(run: Pick<BackupRun, "runId">): Promise<BackupRun> {
  const row = (await pipeline.context.catalog.runs.get(run.runId, never))?.value;
  if (row?.kind !== "backup") throw new Error("The run is gone.");
  return row;
}

async function noteOf(run: BackupRun): Promise<string> {
  const point = await readManifest(pipeline.vault, run.vmId, succeeded(run).restorePointId, never);
  return point.kind === "standing" ? (point.manifest.consistency.note ?? "") : "";
}

async function eventsOf(run: Pick<BackupRun, "runId">, event: string) {
  const rows = await Array.fromAsync(listAll(pipeline.context.catalog.runEvents, { runId: run.runId }, never));
  return rows.map(({ value }) => value).filter((one) => one.name === event);
}

/** How often it was asked for. */
const asked = (action: string): number => region.requests.filter((request) => request.endsWith(`/${action}`)).length;

async function runsAndNothingIsLeft(run: Pick<BackupRun, "runId">, snapshots: number): Promise<void> {
  for (let minute = 0; minute < 30 && (await rowOf(run)).halt !== undefined; minute++) await pipeline.elapse(1);
  await pipeline.elapse(2);
  expect(await power()).toBe("PowerState/running");
  const row = await rowOf(run);
  expect(row.halt).toBeUndefined();
  expect(row).toMatchObject({ cleanUp: "done" });
  laterMs += hourMs;
  await power();
  const { resources } = region.server.arm;
  const left = resources.all().filter((one) => one.type.endsWith("/restorePoints") || one.type.endsWith("/snapshots"));
  expect(left.map(({ id }) => id)).toHaveLength(snapshots);
  for (const one of resources.all()) expect(region.server.arm.grants.of(one.id)).toBeUndefined();
}

describe("A VM of Azure whose policy says shutdown", () => {
  test("is deallocated, snapshotted and started; its point says for how long it was down", async () => {
    const run = succeeded(await pipeline.backup(name));
    expect(run.set).toMatchObject({ consistency: { requested: "application", achieved: "filesystem" } });
    expect(run.set.snapshots.map(({ reference }) => reference["kind"])).toEqual(["snapshot", "snapshot"]);
    expect([asked("deallocate"), asked("start")]).toEqual([1, 1]);
    await runsAndNothingIsLeft(run, 2);
    const { downtime } = succeeded(await rowOf(run)).set;
    const [told] = await eventsOf(run, "vm-running");
    // A deallocation of 100 s, snapshots of 5 s, and the looks in between; the start, and the reconciler's tick that saw it.
    const { stopAskedAt, startAskedAt, runningAt } = downtime ?? {};
    const [from = 0, started = 0, seen = 0] = [stopAskedAt, startAskedAt, runningAt].map((at) => Date.parse(at ?? ""));
    expect(started - from).toBeGreaterThan(105_000);
    expect(started - from).toBeLessThan(135_000);
    expect(seen - started).toBeLessThanOrEqual(90_000);
    expect(told?.fields["downMs"]).toBe(seen - from);
    expect(await noteOf(run)).toContain(`asked to stop at ${stopAskedAt}`);
    expect(await noteOf(run)).toMatch(/to start at \S+, 1[123]\d s later/);

    await vm.write(1, 512, randomBytes(512));
    region.requests.length = 0;
    const next = succeeded(await pipeline.backup(name));
    expect(next.disks.map(({ mode, changedBytes }) => [mode, changedBytes])).toEqual([
      ["incremental", 0],
      ["incremental", 512],
    ]);
    // While it is down (docs/azure.md, "Requests"): it and its two disks are looked at once more, and each disk takes a PUT and two looks.
    const whileDown = region.requests.slice(
      region.requests.findIndex((request) => request.endsWith("/deallocate")) + 1,
      region.requests.findIndex((request) => request.endsWith("/start")),
    );
    expect(whileDown.filter((request) => !/operations\//i.test(request))).toHaveLength(5 + 4 * 2);
    await runsAndNothingIsLeft(next, 2);
  });
});

describe("A VM of Azure that is stopped for its backup, in trouble:", () => {
  test("a deallocation that fails at its end is tried anew", async () => {
    const error = new ServiceError(409, "InternalExecutionError", "It did not work out.");
    const fault = faults().planOperation("virtualMachines/deallocate", { kind: "fails", error });
    const run = succeeded(await pipeline.backup(name));
    expect(fault.happened()).toBe(1);
    expect(run.attempt).toBeGreaterThan(1);
    await runsAndNothingIsLeft(run, 2);
  });

  test("a deallocation that does not end is given up after 20 minutes, and the VM started as soon as the platform lets go", async () => {
    faults().planOperation("virtualMachines/deallocate", { kind: "never-ends" });
    const before = pipeline.context.clock.now();
    const { run } = await requestBackup(pipeline.context, { vm: name }, never);
    const freed = async (): Promise<void> => {
      while ((await eventsOf(run, "vm-start-failed")).length < 2) await sleep(5);
      region.server.arm.resources.change(vm.resourceId, { powerState: "deallocated" });
    };
    const [ended] = await Promise.all([pipeline.drive(run.runId), freed()]);
    const [failed] = await eventsOf(run, "vm-start-failed");
    expect(Date.parse(failed?.at ?? "") - before).toBeGreaterThan(20 * 60_000);
    expect(Date.parse(failed?.at ?? "") - before).toBeLessThan(23 * 60_000);
    expect(succeeded(ended).attempt).toBeGreaterThan(1);
    await runsAndNothingIsLeft(run, 2);
  });

  test("snapshots that are refused for 20 minutes find it running after the first refusal", async () => {
    const throttled = new ServiceError(429, "OperationNotAllowed", "Too many.", { "Retry-After": "1200" });
    const fault = faults().planRequest(/^PUT .*snapshots\/farside/, throttled);
    const run = succeeded(await pipeline.backup(name));
    expect(fault.happened()).toBe(1);
    expect(run.attempt).toBe(2);
    const [stopped] = await eventsOf(run, "vm-stop-asked");
    const [asksStart] = await eventsOf(run, "vm-start-asked");
    const [runs] = await eventsOf(run, "vm-running");
    const sinceStop = (at: string | undefined) => Date.parse(at ?? "") - Date.parse(stopped?.at ?? "");
    expect(sinceStop(asksStart?.at)).toBeLessThan(130_000);
    expect(sinceStop(runs?.at)).toBeLessThan(240_000);
    // Stopped for a second time, and no sooner than the service allowed.
    const [, again] = await eventsOf(run, "vm-stop-asked");
    expect(sinceStop(again?.at)).toBeGreaterThan(1_200_000);
    await runsAndNothingIsLeft(run, 2);
  });

  test("snapshots that may not be looked at for 20 minutes find it running long before", async () => {
    const throttled = new ServiceError(429, "OperationNotAllowed", "Too many.", { "Retry-After": "1200" });
    const source = pipeline.context.source("managed");
    const make = source.snapshot.bind(source);
    const handles: { happened(): number }[] = [];
    source.snapshot = async (...args) => {
      const made = await make(...args);
      if (handles.length === 0) handles.push(faults().planRequest(/^GET .*[oO]perations\//, throttled));
      return made;
    };
    const run = succeeded(await pipeline.backup(name));
    expect(handles[0]?.happened()).toBe(1);
    expect(run.attempt).toBe(2);
    const [stopped, again] = await eventsOf(run, "vm-stop-asked");
    const [asksStart] = await eventsOf(run, "vm-start-asked");
    const sinceStop = (at: string | undefined) => Date.parse(at ?? "") - Date.parse(stopped?.at ?? "");
    expect(sinceStop(asksStart?.at)).toBeLessThan(180_000);
    expect(sinceStop(again?.at)).toBeGreaterThan(1_200_000);
    await runsAndNothingIsLeft(run, 2);
  });

  test("a copy that goes on behind its snapshots is looked at no sooner than the service asks, once the VM runs", async () => {
    const source = pipeline.context.source("managed");
    const look = source.continueSnapshot.bind(source);
    const looks: number[] = [];
    source.continueSnapshot = async (...args) => {
      const outcome = await look(...args);
      if (outcome.kind === "waiting" || looks.length === 2) return outcome;
      const [row] = await Array.fromAsync(listAll(pipeline.context.catalog.runs, { vm: name }, never));
      const isDown = row?.value.kind !== "backup" || row.value.halt !== undefined;
      const waits = { kind: "waiting", operation: args[1] } as const;
      if (looks.length === 0 && isDown) return { ...waits, retryAfterMs: 15_000, isFixed: true };
      looks.push(pipeline.context.clock.now());
      // As where the service did not answer: of the snapshots nothing is told.
      return looks.length === 1 ? { ...waits, retryAfterMs: 1_200_000 } : outcome;
    };
    succeeded(await pipeline.backup(name));
    expect((looks[1] ?? 0) - (looks[0] ?? 0)).toBeGreaterThanOrEqual(1_200_000);
  });

  test("a start that finds no capacity is tried until it works, loudly, while the backup goes on", async () => {
    const error = new ServiceError(409, "AllocationFailed", "There is no capacity in this zone.");
    const fault = faults().planOperation("virtualMachines/start", { kind: "fails", error }, 2);
    const run = succeeded(await pipeline.backup(name));
    expect(await power()).not.toBe("PowerState/running");
    await runsAndNothingIsLeft(run, 2);
    expect(fault.happened()).toBe(2);
    const failed = await eventsOf(run, "vm-start-failed");
    expect(failed.map(({ fields }) => fields["failedStarts"])).toEqual([1, 2]);
    expect(failed[0]?.message).toContain("There is no capacity in this zone.");
    expect(asked("start")).toBe(3);
  });

  test("a start that is throttled waits as long as the service asks, and no longer", async () => {
    const throttled = new ServiceError(429, "OperationNotAllowed", "Too many.", { "Retry-After": "1200" });
    faults().planRequest(/^POST .*\/start$/, throttled);
    const run = succeeded(await pipeline.backup(name));
    await runsAndNothingIsLeft(run, 2);
    expect(asked("start")).toBe(2);
  });

  test.each(["source.power.stop", "source.snapshot", "source.power.start"])(
    "a process that is killed when it has called %s leaves a VM that runs, and a backup",
    async (call) => {
      const { run } = await requestBackup(pipeline.context, { vm: name }, never);
      let died = false;
      for (let step = 0; step < 60 && !died; step++) {
        died = await runStep(dyingContext(call), { kind: "start-backup", runId: run.runId }, never).then(
          () => false,
          (error: unknown) => error instanceof Death,
        );
        // What a message would do when its time has come.
        if (!died) await pipeline.elapse(1);
      }
      expect(died).toBe(true);
      succeeded(await pipeline.drive(run.runId));
      await runsAndNothingIsLeft(run, 2);
    },
  );
});

/** The pipeline's context in a process that dies at the first call of this name, when it has had its effect. */
function dyingContext(call: string): Context {
  const dead = { now: false };
  const gate = {
    before: async (called: string) => {
      if (dead.now) throw new Death(called);
    },
    after: async (called: string) => {
      if (called !== call) return;
      dead.now = true;
      throw new Death(called);
    },
  };
  const { context } = pipeline;
  return {
    ...context,
    source: (kind) => gated("source", context.source(kind), gate),
    catalog: gated("catalog", context.catalog, gate),
    tasks: gated("tasks", context.tasks, gate),
  };
}
