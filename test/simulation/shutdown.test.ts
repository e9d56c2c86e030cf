import { describe, expect, test } from "vitest";
import { MemoryPower } from "../../shared/adapters/memory/memory-power.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parsePolicyName, parseVmName } from "../../shared/core/ids.ts";
import type { Policy } from "../../shared/core/policy.ts";
import type { BackupRun } from "../../shared/core/run.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../shared/operations/fail-poisoned.ts";
import { fleetStatus } from "../../shared/operations/manage/fleet-status.ts";
import { unprotectVm } from "../../shared/operations/manage/unprotect-vm.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { readManifest } from "../../shared/operations/vault/list-restore-points.ts";
import { crashSweep, type Scenario, strikes } from "../support/simulation/crash-sweep.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { Stall } from "../support/simulation/stall.ts";
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
  for (let round = 0; round < 10_000; round++) {
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

const noCapacity = () => new FarsideError("unavailable", "AllocationFailed: no capacity.");

describe("A VM that does not start again", () => {
  async function failing(starts: number) {
    const world = await machine({ retryWindowSeconds: 0 });
    world.power.failingStarts.push(...Array.from({ length: starts }, noCapacity));
    await asked(world);
    await until(world, (run) => run.state === "succeeded");
    return world;
  }

  test("is tried with growing delays until it works, loudly, and holds its run and the VM until then", async () => {
    const world = await failing(8);
    const run = await onlyRun(world);
    for (let minute = 0; minute < 10; minute++) {
      world.clock.advance(minuteMs);
      await world.reconcile({ sweep: "all" });
    }
    expect(await onlyRun(world)).toMatchObject({ state: "succeeded", cleanUp: "pending" });
    const status = await fleetStatus(world.context(), {}, world.signal);
    expect(status.vms[0]?.down).toMatchObject({ runId: run.runId });
    expect(status.vms[0]?.down?.failedStarts).toBeGreaterThan(1);
    await expect(asked(world)).rejects.toMatchObject({ code: "run-active", details: { runId: run.runId } });
    await expect(unprotectVm(world.context(), { name: web }, world.signal)).rejects.toMatchObject({
      code: "run-active",
    });
    await world.settle();
    expect(await phase(world)).toBe("running");
    const failures = (await world.eventNames(run.runId)).filter((name) => name === "vm-start-failed");
    expect(failures).toHaveLength(8);
    expect(world.log.filter(({ event, level }) => event === "vm-start-failed" && level === "error")).toHaveLength(8);
    expect(world.power.asked.filter((what) => what === "start")).toHaveLength(9);
    expect((await world.backUp("web")).state).toBe("succeeded");
    expect(await breaches(world)).toEqual([]);
  });

  test("is left down where a person gives it up, and is backed up as it lies", async () => {
    const world = await failing(1000);
    const { runId } = await onlyRun(world);
    // A cancel that comes before anything was tried in vain gives nothing up.
    await cancelRun(world.context(), { runId }, world.signal);
    expect((await onlyRun(world)).halt).toBeDefined();
    for (let minute = 0; minute < 5; minute++) {
      world.clock.advance(minuteMs);
      await world.reconcile();
    }
    await cancelRun(world.context(), { runId }, world.signal);
    expect((await onlyRun(world)).halt).toBeUndefined();
    expect(await world.eventNames(runId)).toContain("vm-left-stopped");
    await world.settle();
    const tries = world.power.asked.length;
    expect(await world.backUp("web")).toMatchObject({ state: "succeeded" });
    expect(world.power.asked).toHaveLength(tries);
    expect(await breaches(world)).toEqual(["I7: the VM web is stopped"]);
  });

  test("because it was deleted meanwhile ends the watch, loudly", async () => {
    const world = await failing(0);
    world.power.state = () => Promise.reject(new FarsideError("not-found", "There is no such VM."));
    world.power.look = () => Promise.reject(new FarsideError("not-found", "There is no such operation."));
    world.clock.advance(10 * minuteMs);
    await world.reconcile();
    world.clock.advance(10 * minuteMs);
    await world.reconcile();
    expect(await onlyRun(world)).toMatchObject({ cleanUp: "done" });
    expect(world.log.some(({ event, level }) => event === "vm-left-stopped" && level === "error")).toBe(true);
  });
});

describe("A VM that is stopped for its backup runs again", () => {
  const runsAgain = async (world: World, state: string | RegExp): Promise<void> => {
    await world.settle();
    expect((await onlyRun(world)).state).toMatch(state);
    expect(await phase(world)).toBe("running");
    expect(await breaches(world)).toEqual([]);
  };

  test("where stopping does not end: after 20 minutes it is given up", async () => {
    const world = await machine({ retryWindowSeconds: 0 });
    world.power.stopTakesMs = Infinity;
    const before = world.clock.now();
    await asked(world);
    await until(world, (run) => run.state === "failed");
    expect(world.clock.now() - before).toBeLessThan(21 * minuteMs);
    expect(await phase(world)).toBe("starting");
    await runsAgain(world, "failed");
  });

  test("where stopping fails at its end", async () => {
    const world = await machine();
    world.power.failingStops.push(noCapacity());
    await asked(world);
    await runsAgain(world, "succeeded");
  });

  test("while the run waits for as long as the service has asked", async () => {
    const world = await machine();
    let left = 1;
    world.source.beforeSnapshot = () => {
      if (left-- > 0) throw new FarsideError("throttled", "Too many.", { retryAfterMs: 1_200_000 });
    };
    await asked(world);
    await until(world, (run) => run.state === "queued" && run.attempt > 0);
    expect(await phase(world)).toBe("starting");
    for (let minute = 0; minute < 10; minute++) {
      world.clock.advance(minuteMs);
      await world.reconcile();
    }
    expect(await phase(world)).toBe("running");
    expect((await onlyRun(world)).halt).toBeUndefined();
    await runsAgain(world, "succeeded");
  });

  test("where its policy or its protection goes while it stops", async () => {
    for (const gone of ["policies", "vms"] as const) {
      const world = await machine();
      const source = await sourceOf(world);
      await asked(world);
      await until(world, (run) => run.state === "snapshotting" && run.pending !== undefined);
      if (gone === "vms") await world.catalog.vms.remove(web, undefined, world.signal);
      else await world.catalog.policies.remove(parsePolicyName("standard"), undefined, world.signal);
      await world.settle();
      expect(await onlyRun(world)).toMatchObject({ state: "failed", error: { code: "not-found" } });
      expect(world.power.phaseOf(source)).toBe("running");
    }
  });

  test("where its policy does not want it stopped any more, and its point tells that it was", async () => {
    const world = await machine();
    await asked(world);
    await until(world, (run) => run.state === "snapshotting" && run.pending !== undefined);
    const stored = await world.catalog.policies.get(parsePolicyName("standard"), world.signal);
    if (stored === undefined) throw new Error("The policy is gone.");
    await world.catalog.policies.replace(stored, { ...stored.value, shutdown: false }, world.signal);
    await runsAgain(world, "succeeded");
    expect(await noteOf(world, await onlyRun(world))).toContain("shut down for its snapshots");
  });

  test("where its message is poisoned", async () => {
    const world = await machine();
    await asked(world);
    await until(world, (run) => run.state === "snapshotting" && run.pending !== undefined);
    const [message] = world.queue.pending();
    if (message === undefined) throw new Error("There is no message.");
    await failPoisoned(world.context(), message, world.signal);
    world.queue.remove(message.messageId);
    await runsAgain(world, "succeeded");
  });

  test("where somebody starts it before its snapshots: they are made at another try", async () => {
    const world = await machine();
    world.power.stopTakesMs = 5000;
    await asked(world);
    await until(world, (run) => run.state === "snapshotting" && run.pending !== undefined);
    world.clock.advance(6000);
    world.power.put(await sourceOf(world), "running");
    await runsAgain(world, "succeeded");
    expect((await onlyRun(world)).attempt).toBeGreaterThan(1);
  });

  test("where somebody starts it between its snapshots: the point is crash-consistent, and says why", async () => {
    const world = await machine();
    const source = await sourceOf(world);
    world.source.beforeSnapshot = (disk) => {
      if (disk === "data") world.power.put(source, "running");
    };
    await asked(world);
    await runsAgain(world, "succeeded");
    expect(await onlyRun(world)).toMatchObject({
      set: { consistency: { achieved: "crash", note: expect.stringContaining("started while") } },
    });
  });

  test("where a process that was given up wakes and asks for the stop after all", async () => {
    const world = await machine({ retryWindowSeconds: 0 });
    await asked(world);
    const stall = new Stall("before", "source.power.stop");
    const [message] = world.visible();
    if (message === undefined) throw new Error("There is no message.");
    const zombie = world.deliver(message, new Process({ kind: "lives" }, stall));
    await stall.asleep;
    for (let minute = 0; minute < 4; minute++) {
      world.clock.advance(minuteMs);
      await world.reconcile();
    }
    expect(await onlyRun(world)).toMatchObject({ state: "failed" });
    expect(await phase(world)).toBe("running");
    stall.wake();
    await zombie;
    expect(await phase(world)).toBe("stopping");
    await runsAgain(world, "failed");
  });

  test("where two look at it at once, in every phase", async () => {
    for (let delivery = 1; delivery < 5; delivery++) {
      const world = await begun(delivery);
      const [message] = world.visible();
      if (message === undefined) throw new Error("There is no message.");
      // The first stands still after it has claimed, until its lease is over and a second one has done its work.
      const stall = new Stall("after", "catalog.runs.replace");
      const first = world.deliver(message, new Process({ kind: "lives" }, stall));
      await stall.asleep;
      world.clock.advance(3 * minuteMs);
      await world.perform(message.task);
      stall.wake();
      await first;
      await runsAgain(world, "succeeded");
      expect((world.source.power as MemoryPower).asked).toEqual(["stop", "start"]);
    }
  });
});

describe("The sweeps can fail:", () => {
  test("where a VM is stopped before anybody has written it down", async () => {
    const report = await crashSweep({
      prepare: () => begun(0),
      act: async (world, process) => {
        const { power } = world.context(process).source("page-blob");
        await power?.stop(await sourceOf(world), world.signal);
        world.clock.advance(2 * minuteMs);
        await power?.start(await sourceOf(world), world.signal);
      },
      expect: () => Promise.resolve(),
    });
    expect(report.breaches.join()).toContain("I7: the VM web is stopp");
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
