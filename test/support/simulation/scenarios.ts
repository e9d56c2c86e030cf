import { expect } from "vitest";
import { firstDifference, readImage } from "../../../shared/adapters/memory/sparse-image.ts";
import { parsePolicyName, parseVmName } from "../../../shared/core/ids.ts";
import type { RestoreTarget } from "../../../shared/core/run.ts";
import { isActive } from "../../../shared/core/run-transitions.ts";
import { vmIdOf } from "../../../shared/core/vm.ts";
import { cancelRun } from "../../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../../shared/operations/fail-poisoned.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { scheduleBackups } from "../../../shared/operations/schedule-backups.ts";
import { newestRestorePoint } from "../../../shared/operations/vault/list-restore-points.ts";
import type { Scenario } from "./crash-sweep.ts";
import { breaches } from "./invariants.ts";
import { Process } from "./process.ts";
import { diskUrl, minuteMs, World } from "./world.ts";

const mib = 1024 * 1024;
const vm = parseVmName("web");

/** What the sweeps do, once per port call: every operation, in the states that it can meet. */

/** Two disks with a restore point, changed since. Guests do not thaw by themselves: whoever froze one must see to it. */
export async function changedVm(): Promise<World> {
  const world = await World.create();
  world.limits = { ...world.limits, windowsAhead: 1 };
  await world.addPolicy("standard", { freezeTtlSeconds: 600 });
  await world.addVm("web", { disks: { os: mib, data: mib } });
  world.scribble("web", "os", 0);
  world.scribble("web", "data", 300_000);
  await world.backUp("web");
  world.guest("web").behaviour = "ignores-its-limit";
  world.clock.advance(minuteMs);
  world.scribble("web", "os", 600_000);
  return world;
}

async function requested(): Promise<World> {
  const world = await changedVm();
  await requestBackup(world.context(), { vm }, world.signal);
  return world;
}

/** Delivers messages until one of this kind is next. */
/** Its snapshots are there when it was looked at twice. */
async function slowPlatform(): Promise<World> {
  const world = await requested();
  world.source.quiesces = true;
  world.source.waits = 2;
  return world;
}

/** Of two points, one is older than the days for which snapshots stay, when the third is made. */
async function keepingSnapshots(): Promise<World> {
  const world = await changedVm();
  const stored = await world.catalog.policies.get(parsePolicyName("standard"), world.signal);
  if (stored === undefined) throw new Error("The policy is gone.");
  await world.catalog.policies.replace(stored, { ...stored.value, instantRestoreDays: 1 }, world.signal);
  world.clock.advance(20 * 60 * minuteMs);
  await world.backUp("web");
  world.clock.advance(10 * 60 * minuteMs);
  world.scribble("web", "os", 100_000);
  await requestBackup(world.context(), { vm }, world.signal);
  return world;
}

async function lookedAt(times: number): Promise<World> {
  const world = await slowPlatform();
  for (let time = 0; time < times; time++) {
    await world.drain();
    world.clock.advance(minuteMs);
  }
  return world;
}

async function until(world: World, kind: string): Promise<World> {
  for (let next = world.visible()[0]; next !== undefined && next.kind !== kind; next = world.visible()[0]) {
    await world.deliver(next);
  }
  return world;
}

const deliverNext: Scenario["act"] = async (world, process) => {
  const [next] = world.visible();
  if (next === undefined) throw new Error("There is no message to deliver.");
  await world.deliver(next, process);
};

async function everyRunSucceeded(world: World, points = 2): Promise<void> {
  expect((await world.runs()).map((run) => run.state)).toEqual((await world.runs()).map(() => "succeeded"));
  expect((await world.catalog.restorePoints.list({ limit: 100 }, world.signal)).items).toHaveLength(points);
}

const backups: Readonly<Record<string, Scenario>> = {
  "schedule-backups": {
    prepare: async () => {
      const world = await changedVm();
      const stored = await world.catalog.policies.get((await world.addPolicy("hourly")).name, world.signal);
      if (stored === undefined) throw new Error("The policy is gone.");
      const schedule = { cron: "every 60 minutes", timeZone: "UTC", jitterSeconds: 60 };
      await world.catalog.policies.replace(stored, { ...stored.value, schedule }, world.signal);
      const web = await world.catalog.vms.get(vm, world.signal);
      if (web === undefined) throw new Error("The VM is gone.");
      await world.catalog.vms.replace(web, { ...web.value, policy: stored.value.name }, world.signal);
      world.clock.advance(60 * minuteMs);
      return world;
    },
    act: (world, process) => scheduleBackups(world.context(process), {}, world.signal),
    expect: async (world) => {
      // The next tick does what the dead one could not.
      await scheduleBackups(world.context(), {}, world.signal);
      await world.settle();
      await everyRunSucceeded(world);
    },
  },
  "request-backup": {
    prepare: changedVm,
    act: (world, process) => requestBackup(world.context(process), { vm, idempotencyKey: "once" }, world.signal),
    expect: async (world) => {
      await requestBackup(world.context(), { vm, idempotencyKey: "once" }, world.signal);
      await world.settle();
      await everyRunSucceeded(world);
    },
  },
  "start-backup": { prepare: requested, act: deliverNext, expect: everyRunSucceeded },
  "start-backup (the platform takes its time)": { prepare: slowPlatform, act: deliverNext, expect: everyRunSucceeded },
  "start-backup (the platform is looked at again)": {
    prepare: async () => lookedAt(1),
    act: deliverNext,
    expect: everyRunSucceeded,
  },
  "start-backup (the platform is done)": {
    prepare: async () => lookedAt(2),
    act: deliverNext,
    expect: everyRunSucceeded,
  },
  "commit-restore-point (snapshots stay for some days)": {
    prepare: async () => until(await keepingSnapshots(), "commit-restore-point"),
    act: deliverNext,
    expect: (world) => everyRunSucceeded(world, 3),
  },
  "copy-window": {
    prepare: async () => until(await requested(), "copy-window"),
    act: deliverNext,
    expect: everyRunSucceeded,
  },
  "commit-restore-point": {
    prepare: async () => until(await requested(), "commit-restore-point"),
    act: deliverNext,
    expect: everyRunSucceeded,
  },
};

const restores: Readonly<Record<string, Scenario>> = {
  "request-restore": {
    prepare: changedVm,
    act: (world, process) => askForRestore(world, process),
    expect: async (world) => {
      await askForRestore(world);
      await world.settle();
      await restored(world);
    },
  },
  "start-restore": { prepare: restoring, act: deliverNext, expect: restored },
  "restore-window": {
    prepare: async () => until(await restoring(), "restore-window"),
    act: deliverNext,
    expect: restored,
  },
  "finish-restore": {
    prepare: async () => until(await restoring(), "finish-restore"),
    act: deliverNext,
    expect: restored,
  },
};

const toContainer = { kind: "container", url: "https://target.example/back" } as const;

function askForRestore(world: World, process = new Process(), target: RestoreTarget = toContainer) {
  const request = { vm: "web", point: { kind: "latest" }, target, idempotencyKey: "once" } as const;
  return requestRestore(world.context(process), request, world.signal);
}

async function restoring(): Promise<World> {
  const world = await changedVm();
  await askForRestore(world);
  return world;
}

async function restored(world: World): Promise<void> {
  await everyRunSucceeded(world, 1);
  const point = await newestRestorePoint(world.vault, vmIdOf(vm), world.signal);
  for (const disk of point?.manifest.disks ?? []) {
    const target = world.target.finished(`https://target.example/back/${disk.name}.vhd`);
    const held = world.source.everMade(disk.snapshot);
    expect(target && held && firstDifference(target, held)).toBeUndefined();
    expect(target).toBeDefined();
  }
}

const dataTarget = `${toContainer.url}/data.vhd`;
const stoodThere = Buffer.alloc(4096, 5);

/** Something stands at the target of one disk. */
async function overwriting(): Promise<World> {
  const world = await changedVm();
  world.target.occupy(dataTarget, mib / 2, stoodThere);
  await askForRestore(world, undefined, { ...toContainer, overwrite: true });
  return world;
}

/** Either restored, or what stood there stands there again. */
async function restoredOrPutBack(world: World): Promise<void> {
  const run = (await world.runs()).find((one) => one.kind === "restore");
  if (run?.state === "succeeded") return restored(world);
  expect(run?.state).toMatch(/failed|cancelled/);
  const there = world.target.finished(dataTarget);
  expect(there && readImage(there, 0, stoodThere.length).every((byte) => byte === 5)).toBe(true);
  expect(there?.sizeBytes).toBe(mib / 2);
}

const overwrites: Readonly<Record<string, Scenario>> = {
  "start-restore (overwriting)": { prepare: overwriting, act: deliverNext, expect: restored },
  "restore-window (overwriting)": {
    prepare: async () => until(await overwriting(), "restore-window"),
    act: deliverNext,
    expect: restored,
  },
  "finish-restore (overwriting)": {
    prepare: async () => until(await overwriting(), "finish-restore"),
    act: deliverNext,
    expect: restored,
  },
  "cancel-run (overwriting)": {
    prepare: async () => until(await overwriting(), "restore-window"),
    act: cancel,
    expect: restoredOrPutBack,
  },
  // The second target is gone between the look at it and its end.
  "finish-restore (fails for good half-way)": {
    prepare: async () => until(await overwriting(), "finish-restore"),
    act: async (world, process) => {
      const [next] = world.visible();
      const finish = world.target.finish.bind(world.target);
      world.target.finish = async (disk, runId, signal) => {
        if (disk.url.endsWith("/os.vhd")) world.target.remove(dataTargetOf("data"));
        return finish(disk, runId, signal);
      };
      if (next !== undefined) await world.deliver(next, process);
    },
    expect: async (world) => {
      expect((await world.runs()).find((one) => one.kind === "restore")).toMatchObject({
        state: "failed",
        error: { code: "not-found" },
      });
      expect(world.target.finished(dataTargetOf("os"))).toBeUndefined();
    },
  },
};

const dataTargetOf = (disk: string): string => `${toContainer.url}/${disk}.vhd`;

/** Stopped, changed since its only point: written over, written where the point has zeros, cleared where it has data. */
async function stoppedVm(): Promise<World> {
  const world = await changedVm();
  world.guest("web").behaviour = "dead";
  world.source.powerState = "stopped";
  world.scribble("web", "os", 900_000, 70_000);
  world.source.clear(diskUrl("web", "data"), 299_008, 8192);
  return world;
}

const inPlace = { kind: "revert" } as const;

async function reverting(): Promise<World> {
  const world = await stoppedVm();
  await askForRestore(world, undefined, inPlace);
  return world;
}

async function reverted(world: World): Promise<void> {
  await everyRunSucceeded(world, 1);
  await disksAreOfThePoint(world);
  // The next backup builds on the point before it, and is right: the invariants compare it with its snapshots.
  world.scribble("web", "data", 700_000);
  await world.backUp("web");
  await everyRunSucceeded(world, 2);
  expect(await breaches(world)).toEqual([]);
}

async function disksAreOfThePoint(world: World): Promise<void> {
  const point = await newestRestorePoint(world.vault, vmIdOf(vm), world.signal);
  expect(point?.manifest.disks).toHaveLength(2);
  for (const disk of point?.manifest.disks ?? []) {
    const held = world.source.everMade(disk.snapshot);
    expect(held && firstDifference(world.source.image(diskUrl("web", disk.name)), held)).toBeUndefined();
    expect(held).toBeDefined();
  }
}

const reverts: Readonly<Record<string, Scenario>> = {
  "request-restore (revert)": {
    prepare: stoppedVm,
    act: (world, process) => askForRestore(world, process, inPlace),
    expect: async (world) => {
      await askForRestore(world, undefined, inPlace);
      await world.settle();
      await reverted(world);
    },
  },
  "start-restore (revert)": { prepare: reverting, act: deliverNext, expect: reverted },
  "restore-window (revert)": {
    prepare: async () => until(await reverting(), "restore-window"),
    act: deliverNext,
    expect: reverted,
  },
  "finish-restore (revert)": {
    prepare: async () => until(await reverting(), "finish-restore"),
    act: deliverNext,
    expect: reverted,
  },
  "cancel-run (reverting)": {
    prepare: async () => {
      const world = await until(await reverting(), "restore-window");
      // One window is written: the disks are half-way.
      await deliverNext(world, new Process());
      return world;
    },
    act: cancel,
    expect: async (world) => {
      const [cancelled] = (await world.runs()).filter((run) => run.state === "cancelled");
      if (cancelled?.kind === "restore" && cancelled.state === "cancelled") {
        expect(cancelled.error.message).toMatch(/half way .* revert again.* safety snapshots/);
      }
      // A new revert goes on from there.
      const request = { vm: "web", point: { kind: "latest" }, target: inPlace } as const;
      await requestRestore(world.context(), request, world.signal);
      await world.settle();
      await disksAreOfThePoint(world);
    },
  },
};

const ends: Readonly<Record<string, Scenario>> = {
  "cancel-run (queued)": { prepare: requested, act: cancel, expect: endedOnce },
  "cancel-run (copying)": {
    prepare: async () => until(await requested(), "copy-window"),
    act: cancel,
    expect: endedOnce,
  },
  "cancel-run (restoring)": {
    prepare: async () => until(await restoring(), "restore-window"),
    act: cancel,
    expect: endedOnce,
  },
  "fail-poisoned": {
    prepare: async () => until(await requested(), "copy-window"),
    act: async (world, process) => {
      const [message] = world.visible();
      if (message === undefined) throw new Error("There is no message.");
      await failPoisoned(world.context(process), message, world.signal);
    },
    expect: endedOnce,
  },
  "reconcile (a dead attempt)": {
    prepare: async () => {
      const world = await requested();
      const [message] = world.visible();
      const calls = await callsOfStart();
      const call = calls.lastIndexOf("source.snapshot");
      if (message !== undefined) await world.deliver(message, new Process({ kind: "dies", phase: "after", call }));
      expect(world.guest("web").isFrozen).toBe(true);
      world.clock.advance(15 * minuteMs);
      return world;
    },
    act: (world, process) => world.reconcile({ sweep: "all" }, process),
    expect: everyRunSucceeded,
  },
  "reconcile (a lost chain)": {
    prepare: async () => {
      const world = await until(await requested(), "copy-window");
      for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
      world.clock.advance(15 * minuteMs);
      return world;
    },
    act: (world, process) => world.reconcile({ sweep: "all" }, process),
    expect: everyRunSucceeded,
  },
};

async function callsOfStart(): Promise<readonly string[]> {
  const world = await requested();
  const process = new Process();
  await deliverNext(world, process);
  return process.calls;
}

async function cancel(world: World, process: Process): Promise<void> {
  const active = (await world.runs()).find(isActive);
  if (active !== undefined) await cancelRun(world.context(process), active, world.signal);
}

/** Ended one way or the other; the restore point of before is untouched, which the invariants see to. */
async function endedOnce(world: World): Promise<void> {
  expect((await world.runs()).filter(isActive)).toEqual([]);
}

export const scenarios: Readonly<Record<string, Scenario>> = {
  ...backups,
  ...restores,
  ...overwrites,
  ...reverts,
  ...ends,
};
