/** A VM that is stopped for its snapshots, and everything that the sweeps do to it. */
import { expect } from "vitest";
import { MemoryPower } from "../../../shared/adapters/memory/memory-power.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import type { Policy } from "../../../shared/core/policy.ts";
import type { BackupRun } from "../../../shared/core/run.ts";
import { cancelRun } from "../../../shared/operations/cancel-run.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import type { Scenario } from "./crash-sweep.ts";
import { Process } from "./process.ts";
import { minuteMs, World } from "./world.ts";

const mib = 1024 * 1024;
export const web = parseVmName("web");

export async function machine(policy: Partial<Policy> = {}): Promise<World & { readonly power: MemoryPower }> {
  const world = await World.create();
  const power = new MemoryPower(world.clock.serviceNow);
  world.source.power = power;
  await world.addPolicy("standard", { shutdown: true, retryWindowSeconds: 4 * 3600, ...policy });
  await world.addVm("web", { disks: { os: mib, data: mib }, guest: false });
  world.scribble("web", "os", 0);
  world.scribble("web", "data", 300_000);
  return Object.assign(world, { power });
}

export async function sourceOf(world: World) {
  const vm = await world.catalog.vms.get(web, world.signal);
  if (vm === undefined) throw new Error("The VM is gone.");
  return vm.value.source;
}

export async function phase(world: World) {
  return world.source.power?.phaseOf(await sourceOf(world));
}

export async function onlyRun(world: World): Promise<BackupRun> {
  const [run, ...others] = await world.runs();
  if (run?.kind !== "backup" || others.length > 0) throw new Error("There is not one backup.");
  return run;
}

export async function asked(world: World): Promise<void> {
  await requestBackup(world.context(), { vm: web }, world.signal);
}

/** Looked at more than once in each phase, so that each has a delivery that waits and one that goes on. */
export async function begun(deliveries: number): Promise<World> {
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

export async function endedAndRuns(world: World): Promise<void> {
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

export const shutdownScenarios: readonly (readonly [string, Scenario])[] = Object.entries({ ...deliveries, ...ends });
