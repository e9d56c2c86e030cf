import { describe, expect, test } from "vitest";
import { scheduledRunId } from "../../shared/core/schedule-slots.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import { scheduleBackups } from "../../shared/operations/schedule-backups.ts";
import { Interleaver } from "../support/simulation/interleaver.ts";
import { Process } from "../support/simulation/process.ts";
import { minuteMs, World } from "../support/simulation/world.ts";

const mib = 1024 * 1024;
const dayMs = 24 * 60 * minuteMs;

async function scheduled(minutes = 60, jitterSeconds = 0): Promise<World> {
  const world = await World.create();
  const schedule = { cron: `every ${minutes} minutes`, timeZone: "UTC", jitterSeconds };
  await world.addPolicy("standard", { schedule, retryWindowSeconds: 48 * 3600 });
  for (const vm of ["ada", "bob"]) await world.addVm(vm, { disks: { os: mib } });
  return world;
}

const tick = (world: World, process = new Process()) => scheduleBackups(world.context(process), {}, world.signal);

/** The slot that the clock of the world has passed last. */
function lastSlot(world: World, minutes = 60): ReturnType<typeof timestamp> {
  return timestamp(Math.floor(world.clock.now() / (minutes * minuteMs)) * minutes * minuteMs);
}

describe("A tick of the schedule", () => {
  test("starts nothing before the policy's first slot, and then one run for each VM", async () => {
    const world = await scheduled();
    expect(await tick(world)).toEqual({ policiesDue: 0, runsStarted: 0, runsRepeated: 0 });
    world.clock.advance(60 * minuteMs);
    expect(await tick(world)).toEqual({ policiesDue: 1, runsStarted: 2, runsRepeated: 0 });
    expect(await tick(world)).toEqual({ policiesDue: 0, runsStarted: 0, runsRepeated: 0 });
    await world.settle();
    expect(await world.runs()).toMatchObject([
      { state: "succeeded", trigger: { kind: "schedule", slot: "2026-11-21T09:00:00.000Z" } },
      { state: "succeeded" },
    ]);
  });

  test("that comes five times at once makes one run for each VM", async () => {
    const world = await scheduled();
    world.clock.advance(60 * minuteMs);
    const interleaver = new Interleaver(world.random);
    const ticks = Array.from({ length: 5 }, () => () => tick(world, new Process({ kind: "lives" }, interleaver)));
    const results = await interleaver.run(ticks);
    expect(results.filter((result) => result.status === "rejected")).toEqual([]);
    expect(await world.runs()).toHaveLength(2);
    await world.settle();
    expect((await world.runs()).map((run) => run.state)).toEqual(["succeeded", "succeeded"]);
  });

  test("after days without one catches up the last slot, once", async () => {
    const world = await scheduled();
    world.clock.advance(3 * dayMs + 20 * minuteMs);
    expect(await tick(world)).toMatchObject({ runsStarted: 2 });
    expect((await world.runs())[0]).toMatchObject({ trigger: { slot: lastSlot(world) } });
    expect(await tick(world)).toMatchObject({ runsStarted: 0 });
  });

  test("leaves out a VM that was protected after the slot", async () => {
    const world = await scheduled();
    world.clock.advance(60 * minuteMs);
    await world.addVm("new", { disks: { os: mib } });
    expect(await tick(world)).toMatchObject({ runsStarted: 2 });
    world.clock.advance(60 * minuteMs);
    expect(await tick(world)).toMatchObject({ runsStarted: 3 });
  });

  test("gives each VM its own place within the jitter, always the same", async () => {
    const world = await scheduled(60, 600);
    const places = new Map<string, Set<number>>();
    for (let slot = 0; slot < 2; slot++) {
      world.clock.advance(60 * minuteMs);
      await tick(world);
      for (const run of await world.runs()) {
        if (run.state !== "queued" || !("notBefore" in run)) continue;
        const place = Date.parse(run.notBefore) - Date.parse(lastSlot(world));
        places.set(run.vm, new Set([...(places.get(run.vm) ?? []), place]));
      }
      await world.settle();
    }
    const seen = [...places.values()].map((own) => [...own]);
    expect(seen.map((own) => own.length)).toEqual([1, 1]);
    expect(new Set(seen.flat()).size).toBe(2);
    expect(Math.max(...seen.flat())).toBeLessThan(600_000);
  });

  test("costs a constant number of requests for each VM that is due, and none for one that is not", async () => {
    const world = await scheduled();
    const idle = new Process();
    await tick(world, idle);
    const cost = async (vms: number): Promise<number> => {
      const other = await scheduled();
      for (let i = 0; i < vms; i++) await other.addVm(`more-${i}`, { disks: { os: mib } });
      other.clock.advance(60 * minuteMs);
      const process = new Process();
      await tick(other, process);
      return process.calls.length;
    };
    expect(idle.calls.length).toBeLessThan(4);
    expect((await cost(20)) - (await cost(10))).toBe(10 * 3);
  });
});

describe("A clock that jumps", () => {
  test("a year ahead and back again does not stop the schedule", async () => {
    const world = await scheduled();
    world.clock.setWrongBy(365 * dayMs);
    await tick(world);
    await world.settle();
    world.clock.setWrongBy(0);
    for (let slot = 0; slot < 3; slot++) {
      world.clock.advance(60 * minuteMs);
      await tick(world);
      await world.settle();
      const [ada] = (await world.catalog.vms.list({ limit: 1 }, world.signal)).items;
      const run = await world.run(scheduledRunId(ada?.value.vmId ?? fail(), lastSlot(world)));
      expect(run).toMatchObject({ state: "succeeded" });
    }
  });

  test("back does not make slots that were done happen again", async () => {
    const world = await scheduled();
    world.clock.advance(60 * minuteMs);
    await tick(world);
    await world.settle();
    world.clock.setWrongBy(-30 * minuteMs);
    expect(await tick(world)).toMatchObject({ runsStarted: 0 });
    world.clock.setWrongBy(0);
    expect(await tick(world)).toMatchObject({ runsStarted: 0 });
  });

  test("in the middle of a run leaves that run to come to its end", async () => {
    for (const days of [30, -30]) {
      const world = await scheduled();
      world.clock.advance(60 * minuteMs);
      await tick(world);
      for (const message of world.visible()) await world.deliver(message);
      world.clock.setWrongBy(days * dayMs);
      await world.reconcile({ sweep: "all" });
      await world.settle();
      expect((await world.runs()).map((run) => run.state)).toEqual(["succeeded", "succeeded"]);
    }
  });
});

function fail(): never {
  throw new Error("There is none.");
}
