import { describe, expect, test } from "vitest";
import { MemoryPower } from "../../shared/adapters/memory/memory-power.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseVmName } from "../../shared/core/ids.ts";
import type { Policy } from "../../shared/core/policy.ts";
import type { BackupRun } from "../../shared/core/run.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { readManifest } from "../../shared/operations/vault/list-restore-points.ts";
import { crashSweep, type Scenario, strikes } from "../support/simulation/crash-sweep.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { minuteMs, World } from "../support/simulation/world.ts";

const mib = 1024 * 1024;
const web = parseVmName("web");

async function machine(policy: Partial<Policy> = {}): Promise<World & { readonly power: MemoryPower }> {
  const world = await World.create();
  const power = new MemoryPower(world.clock.serviceNow);
  world.source.power = power;
  await world.addPolicy("standard", { shutdown: true, retryWindowSeconds: 4 * 3600, ...policy });
  await world.addVm("web", { disks: { os: mib, data: mib }, guest: false });
  world.scribble("web", "os", 0);
  world.scribble("web", "data", 300_000);
  return Object.assign(world, { power });
}

async function sourceOf(world: World) {
  const vm = await world.catalog.vms.get(web, world.signal);
  if (vm === undefined) throw new Error("The VM is gone.");
  return vm.value.source;
}

async function phase(world: World) {
  return world.source.power?.phaseOf(await sourceOf(world));
}

async function onlyRun(world: World): Promise<BackupRun> {
  const [run, ...others] = await world.runs();
  if (run?.kind !== "backup" || others.length > 0) throw new Error("There is not one backup.");
  return run;
}

async function noteOf(world: World, run: BackupRun): Promise<string> {
  if (run.state !== "succeeded") throw new Error(`The run ${run.state}.`);
  const point = await readManifest(world.vault, run.vmId, run.restorePointId, world.signal);
  return point.kind === "standing" ? (point.manifest.consistency.note ?? "") : "";
}

/** Delivers what is due, and lets time pass, until this holds. No reconciler helps. */
async function until(world: World, holds: (run: BackupRun) => boolean): Promise<void> {
  for (let round = 0; round < 1000; round++) {
    if (holds(await onlyRun(world))) return;
    const [next] = world.visible();
    if (next === undefined) world.clock.advance(1000);
    else await world.deliver(next);
  }
  throw new Error("It never came to that.");
}

async function asked(world: World): Promise<void> {
  await requestBackup(world.context(), { vm: web }, world.signal);
}

describe("A VM whose policy says shutdown", () => {
  test("is stopped, snapshotted, and started before anything is copied; its point tells for how long it was down", async () => {
    const world = await machine();
    await asked(world);
    await until(world, (run) => run.state === "snapshotting" && run.pending !== undefined);
    expect(await phase(world)).toBe("stopping");
    await until(world, (run) => run.state === "copying");
    expect(await phase(world)).toBe("starting");
    world.clock.advance(minuteMs);
    await world.reconcile();
    await world.settle();
    const run = await onlyRun(world);
    expect(run).toMatchObject({
      state: "succeeded",
      set: { consistency: { achieved: "filesystem" }, downtime: { runningAt: expect.any(String) } },
    });
    expect(run.halt).toBeUndefined();
    expect(world.power.asked).toEqual(["stop", "start"]);
    expect(await noteOf(world, run)).toMatch(/shut down for its snapshots.*down for \d+ s at most/);
    expect(await world.eventNames(run.runId)).toEqual(
      expect.arrayContaining(["vm-stop-asked", "vm-start-asked", "vm-running"]),
    );
    expect(await breaches(world)).toEqual([]);
  });

  test("is not started where it was stopped before", async () => {
    const world = await machine();
    world.power.put(await sourceOf(world), "stopped");
    const run = await world.backUp("web");
    expect(run).toMatchObject({ state: "succeeded", set: { consistency: { achieved: "filesystem" } } });
    expect(world.power.asked).toEqual([]);
    expect(await phase(world)).toBe("stopped");
  });

  test("goes on running while the platform copies snapshots whose instant is fixed", async () => {
    const world = await machine();
    world.source.waits = 60;
    world.source.isFixed = true;
    await asked(world);
    await until(world, (run) => run.state === "snapshotting" && run.rested !== undefined);
    world.clock.advance(2 * minuteMs);
    await world.reconcile();
    expect(await phase(world)).toBe("running");
    expect(await onlyRun(world)).toMatchObject({ state: "snapshotting" });
    await world.settle();
    const run = await onlyRun(world);
    expect(run).toMatchObject({ state: "succeeded", attempt: 1, set: { consistency: { achieved: "filesystem" } } });
    expect(await noteOf(world, run)).toMatch(/down for 1?\d\d s at most/);
    expect(await breaches(world)).toEqual([]);
  });

  test("of a source that can stop nothing fails in words, and is not touched", async () => {
    const world = await machine();
    world.source.power = undefined;
    expect(await world.backUp("web")).toMatchObject({
      state: "failed",
      error: { code: "not-supported", message: expect.stringContaining("--resource-id") },
    });
    expect(world.power.asked).toEqual([]);
  });

  test("is not stopped for a point that the policy would not take", async () => {
    const consistency = { wanted: "application", least: "application" } as const;
    const world = await machine({ consistency });
    expect(await world.backUp("web")).toMatchObject({ state: "failed", error: { code: "consistency-not-met" } });
    expect(world.power.asked).toEqual([]);
  });
});

/** Looked at more than once in each phase, so that each has a delivery that waits and one that goes on. */
async function begun(deliveries: number): Promise<World> {
  const world = await machine();
  world.power.stopTakesMs = 20_000;
  world.source.waits = 2;
  await asked(world);
  for (let delivery = 0; delivery < deliveries; delivery++) {
    const [next] = world.queue.pending();
    if (next === undefined) throw new Error("No message is left.");
    world.clock.advance(Math.max(0, next.visibleAtMs - world.clock.serviceNow()));
    await world.deliver(next);
  }
  const [next] = world.queue.pending();
  world.clock.advance(Math.max(0, (next?.visibleAtMs ?? 0) - world.clock.serviceNow()));
  return world;
}

const deliverNext: Scenario["act"] = async (world, process) => {
  const [next] = world.visible();
  if (next === undefined) throw new Error("There is no message to deliver.");
  await world.deliver(next, process);
};

async function succeededAndRuns(world: World): Promise<void> {
  expect(await onlyRun(world)).toMatchObject({ state: "succeeded", set: { consistency: { achieved: "filesystem" } } });
  expect(await phase(world)).toBe("running");
}

async function endedAndRuns(world: World): Promise<void> {
  expect((await onlyRun(world)).state).toMatch(/succeeded|failed|cancelled/);
  expect(await phase(world)).toBe("running");
}

const deliveries: Readonly<Record<string, Scenario>> = Object.fromEntries(
  [
    "the VM is asked to stop",
    "it is still stopping",
    "it has stopped and its snapshots are asked for",
    "they are not done",
    "they are done and it is asked to start",
  ].map((name, number) => [
    name,
    { prepare: () => begun(number), act: deliverNext, expect: succeededAndRuns } satisfies Scenario,
  ]),
);

const ends: Readonly<Record<string, Scenario>> = {
  "the run is cancelled while it stops": {
    prepare: () => begun(1),
    act: async (world, process) => {
      await cancelRun(world.context(process), await onlyRun(world), world.signal);
      await deliverNext(world, process);
    },
    expect: endedAndRuns,
  },
  "its snapshots are throttled": {
    prepare: async () => {
      const world = await begun(2);
      let left = 1;
      world.source.beforeSnapshot = () => {
        if (left-- > 0) throw new FarsideError("throttled", "Too many.", { retryAfterMs: 1_200_000 });
      };
      return world;
    },
    act: deliverNext,
    expect: succeededAndRuns,
  },
  "the reconciler takes back a dead attempt": {
    prepare: async () => {
      const world = await begun(0);
      const process = new Process({ kind: "dies", phase: "after", call: await callOf("source.power.stop") });
      await deliverNext(world, process);
      expect(process.struck).toBe(true);
      world.clock.advance(15 * minuteMs);
      return world;
    },
    act: (world, process) => world.reconcile({ sweep: "all" }, process),
    expect: succeededAndRuns,
  },
  "the reconciler watches a start": {
    prepare: async () => {
      const world = await begun(5);
      world.clock.advance(minuteMs);
      return world;
    },
    act: (world, process) => world.reconcile({ sweep: "all" }, process),
    expect: succeededAndRuns,
  },
};

async function callOf(name: string): Promise<number> {
  const process = new Process();
  await deliverNext(await begun(0), process);
  const call = process.calls.indexOf(name);
  if (call < 0) throw new Error(`${name} is not called.`);
  return call;
}

const scenarios = Object.entries({ ...deliveries, ...ends });

describe("Whatever is killed, at any port call, the VM that ran runs in the end:", () => {
  test.each(scenarios)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario);
    expect(report.breaches).toEqual([]);
    expect(report.calls.length).toBeGreaterThan(3);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("Whatever call fails once, the VM that ran runs in the end, and is backed up:", () => {
  test.each(scenarios)("%s", async (_, scenario) => {
    const report = await crashSweep(scenario, "fails");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});

describe("Whatever call is refused for good, the VM that ran runs in the end:", () => {
  test.each(scenarios)("%s", async (_, scenario) => {
    const report = await crashSweep({ ...scenario, expect: endedAndRuns }, "refused");
    expect(report.breaches).toEqual([]);
    expect(report.struck).toBe(strikes(report.calls));
  });
});
