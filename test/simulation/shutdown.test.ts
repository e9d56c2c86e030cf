import { describe, expect, test } from "vitest";
import type { MemoryPower } from "../../shared/adapters/memory/memory-power.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parsePolicyName } from "../../shared/core/ids.ts";
import type { BackupRun } from "../../shared/core/run.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../shared/operations/fail-poisoned.ts";
import { fleetStatus } from "../../shared/operations/manage/fleet-status.ts";
import { unprotectVm } from "../../shared/operations/manage/unprotect-vm.ts";
import { readManifest } from "../../shared/operations/vault/list-restore-points.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { asked, begun, machine, onlyRun, phase, sourceOf, web } from "../support/simulation/shutdown-scenarios.ts";
import { Stall } from "../support/simulation/stall.ts";
import { minuteMs, type World } from "../support/simulation/world.ts";

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
    for (let minute = 0; minute < 8; minute++) {
      world.clock.advance(minuteMs);
      await world.reconcile();
      // A cancel that crosses the run's end gives nothing up.
      if (minute < 4) await cancelRun(world.context(), { runId }, world.signal);
      expect((await onlyRun(world)).halt).toBeDefined();
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
    expect((await onlyRun(world)).attempt).toBeGreaterThan(1);
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
    expect(await world.eventNames(message.task.runId)).toContain("vm-running");
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

  test("where the request to stop was given up, and arrives a minute later", async () => {
    const world = await machine({ retryWindowSeconds: 0 });
    const stop = world.power.stop.bind(world.power);
    world.power.stop = () => Promise.reject(new FarsideError("unavailable", "No answer."));
    await asked(world);
    await until(world, (run) => run.state === "failed");
    expect(await onlyRun(world)).toMatchObject({ halt: { failedStarts: 0 }, cleanUp: "pending" });
    world.clock.advance(minuteMs);
    await world.reconcile();
    await stop(await sourceOf(world), world.signal);
    await runsAgain(world, "failed");
    expect(world.power.asked).toEqual(["stop", "start"]);
  });

  test("soon, also where a clock was a day ahead when it was looked at", async () => {
    const world = await machine({ retryWindowSeconds: 0 });
    await asked(world);
    world.clock.setWrongBy(26 * 60 * minuteMs);
    await until(world, (run) => run.state === "snapshotting" && run.pending !== undefined);
    world.clock.setWrongBy(0);
    for (let minute = 0; minute < 5; minute++) {
      world.clock.advance(minuteMs);
      await world.drain();
      await world.reconcile();
    }
    expect(await phase(world)).toBe("running");
    await runsAgain(world, /failed|succeeded/);
  });

  test("where its snapshots do not work out, and is not stopped for ever again", async () => {
    const world = await machine();
    world.source.beforeSnapshot = () => {
      throw new Error("The snapshot failed.");
    };
    await asked(world);
    await runsAgain(world, "failed");
    expect(await onlyRun(world)).toMatchObject({
      stops: 3,
      error: { code: "snapshot-failed", message: expect.stringContaining("stopped 3 times") },
    });
    expect(world.power.asked).toEqual(["stop", "start", "stop", "start", "stop", "start"]);
  });

  test("where a migration comes each time that it has stopped, and is not stopped for ever again", async () => {
    const world = await machine();
    const { power } = world;
    const stop = power.stop.bind(power);
    power.stop = (source, signal) => {
      world.source.conditions = ["migration-in-progress"];
      return stop(source, signal);
    };
    const start = power.start.bind(power);
    power.start = (source, signal) => {
      world.source.conditions = [];
      return start(source, signal);
    };
    await asked(world);
    await runsAgain(world, "failed");
    expect(await onlyRun(world)).toMatchObject({ stops: 3, error: { code: "snapshot-failed" } });
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
