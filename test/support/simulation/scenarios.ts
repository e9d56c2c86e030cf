import { expect } from "vitest";
import { firstDifference } from "../../../shared/adapters/memory/sparse-image.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import { isActive } from "../../../shared/core/run-transitions.ts";
import { vmIdOf } from "../../../shared/core/vm.ts";
import { cancelRun } from "../../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../../shared/operations/fail-poisoned.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { scheduleBackups } from "../../../shared/operations/schedule-backups.ts";
import { newestRestorePoint } from "../../../shared/operations/vault/list-restore-points.ts";
import type { Scenario } from "./crash-sweep.ts";
import { Process } from "./process.ts";
import { minuteMs, World } from "./world.ts";

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

function askForRestore(world: World, process = new Process()) {
  const targetUrl = "https://target.example/back";
  const request = { vm: "web", point: { kind: "latest" }, targetUrl, idempotencyKey: "once" } as const;
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

export const scenarios: Readonly<Record<string, Scenario>> = { ...backups, ...restores, ...ends };
