/** What the sweeps do with restores to the platform: every step, at every look that it takes, and every way to its end. */
import { expect } from "vitest";
import { firstDifference } from "../../../shared/adapters/memory/sparse-image.ts";
import type { MachineTargetSpec } from "../../../shared/core/machine-restore.ts";
import { parseResourceGroupId } from "../../../shared/core/resource-id.ts";
import type { RestoreRun } from "../../../shared/core/run.ts";
import { isActive } from "../../../shared/core/run-transitions.ts";
import { parseVmName } from "../../../shared/core/ids.ts";
import { vmIdOf } from "../../../shared/core/vm.ts";
import { cancelRun } from "../../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../../shared/operations/fail-poisoned.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { newestRestorePoint } from "../../../shared/operations/vault/list-restore-points.ts";
import type { Scenario } from "./crash-sweep.ts";
import { Process } from "./process.ts";
import { diskUrl, groupId, machineIdOf, minuteMs, World } from "./world.ts";

const mib = 1024 * 1024;
export const webId = machineIdOf("web");
const otherGroup = parseResourceGroupId(groupId.replace("prod", "drill"));

export const toDisks: MachineTargetSpec = { kind: "managed-disks", resourceGroup: otherGroup, location: "westeurope" };
export const toVm: MachineTargetSpec = { kind: "managed-vm", resourceGroup: otherGroup, name: "twin" };
export const swap: MachineTargetSpec = { kind: "swap-disks", mayStop: true };
export const twinId = `${otherGroup}/providers/Microsoft.Compute/virtualMachines/twin`;

/** A running VM of the platform with a restore point, changed since. The platform takes its time for everything. */
export async function managedVm(waits = 1): Promise<World> {
  const world = await World.create();
  world.limits = { ...world.limits, windowsAhead: 1 };
  await world.addPolicy("standard");
  await world.addVm("web", { disks: { os: mib, data: mib }, managed: true });
  world.scribble("web", "os", 0);
  world.scribble("web", "data", 300_000);
  await world.backUp("web");
  world.clock.advance(minuteMs);
  world.scribble("web", "os", 600_000);
  world.machines.waits = waits;
  return world;
}

export function askFor(world: World, target: MachineTargetSpec, process = new Process()) {
  const request = { vm: "web", point: { kind: "latest" }, target, idempotencyKey: "once" } as const;
  return requestRestore(world.context(process), request, world.signal);
}

export async function restoreOf(world: World): Promise<RestoreRun> {
  const run = (await world.runs()).find((one) => one.kind === "restore");
  if (run?.kind === "restore") return run;
  throw new Error("There is no restore.");
}

/** Asked for, and driven on until the run is in this state and the platform was looked at so often for it. */
export async function reached(target: MachineTargetSpec, state: RestoreRun["state"], looks = 0): Promise<World> {
  const world = await managedVm();
  await askFor(world, target);
  for (let looked = 0; ;) {
    const [next] = world.visible();
    if (next === undefined) {
      world.clock.advance(minuteMs);
      continue;
    }
    if (looked === looks && (await restoreOf(world)).state === state) return world;
    const before = (await restoreOf(world)).state;
    if (next.kind === "finish-restore" && before === "copying" && state === "finishing" && looks === 0) return world;
    const outcome = await world.deliver(next);
    if (typeof outcome === "object" && outcome.kind === "waiting" && (await restoreOf(world)).state === state) looked++;
    if (!isActive(await restoreOf(world)))
      throw new Error(`The run ended before it was ${state}, looked at ${looks} times.`);
  }
}

const deliverNext: Scenario["act"] = async (world, process) => {
  const [next] = world.visible();
  if (next === undefined) throw new Error("There is no message to deliver.");
  await world.deliver(next, process);
};

const cancel: Scenario["act"] = async (world, process) => {
  await cancelRun(world.context(process), await restoreOf(world), world.signal);
};

/** A VM has all its disks of one time, and runs as it did. */
export async function standsWell(world: World): Promise<void> {
  const run = await restoreOf(world);
  const stands = world.machines.machine(webId);
  const swapped = run.state === "succeeded" && run.target.kind === "swap-disks";
  const urls = swapped ? run.disks.map(({ url }) => url) : ["os", "data"].map((disk) => diskUrl("web", disk));
  expect(stands).toMatchObject({ running: true, disks: urls.map((url) => ({ url })) });
  expect(world.machines.machine(twinId)?.disks.map(({ url }) => url)).toEqual(
    run.state === "succeeded" && run.target.kind === "managed-vm" ? run.disks.map(({ url }) => url) : undefined,
  );
}

async function restored(world: World): Promise<void> {
  const run = await restoreOf(world);
  expect(run).toMatchObject({ state: "succeeded", cleanUp: "done" });
  const point = await newestRestorePoint(world.vault, vmIdOf(parseVmName("web")), world.signal);
  expect(point?.manifest.disks).toHaveLength(2);
  for (const [number, disk] of (point?.manifest.disks ?? []).entries()) {
    const held = world.source.everMade(disk.snapshot);
    const there = world.machines.finished(run.disks[number]?.url ?? "");
    expect(held && there && firstDifference(held, there)).toBeUndefined();
    expect(there).toBeDefined();
  }
  await standsWell(world);
}

/** Cancelled and nothing left, or done before anybody could be stopped; never anything in between. */
async function ended(world: World): Promise<void> {
  const run = await restoreOf(world);
  if (run.state === "succeeded") return restored(world);
  expect(run.state).toMatch(/failed|cancelled/);
  expect(world.machines.traces(run.runId)).toEqual([]);
  await standsWell(world);
}

function steps(name: string, target: MachineTargetSpec, finishLooks: number): Record<string, Scenario> {
  const found: Record<string, Scenario> = {
    [`request-restore (${name})`]: {
      prepare: () => managedVm(),
      act: (world, process) => askFor(world, target, process),
      expect: async (world) => {
        await askFor(world, target);
        await world.settle();
        await restored(world);
      },
    },
    [`start-restore (${name})`]: { prepare: () => reached(target, "queued"), act: deliverNext, expect: restored },
    [`start-restore (${name}, looked at again)`]: {
      prepare: () => reached(target, "preparing", 1),
      act: deliverNext,
      expect: restored,
    },
    [`restore-window (${name})`]: { prepare: () => reached(target, "copying"), act: deliverNext, expect: restored },
    [`cancel-run (${name}, while its disks are made)`]: {
      prepare: () => reached(target, "preparing", 1),
      act: cancel,
      expect: ended,
    },
    [`cancel-run (${name}, while it is written)`]: {
      prepare: () => reached(target, "copying"),
      act: cancel,
      expect: ended,
    },
  };
  for (let looks = 0; looks <= finishLooks; looks++) {
    found[`finish-restore (${name}, look ${looks})`] = {
      prepare: () => reached(target, "finishing", looks),
      act: deliverNext,
      expect: restored,
    };
    if (looks === 0) continue;
    found[`cancel-run (${name}, finishing, look ${looks})`] = {
      prepare: () => reached(target, "finishing", looks),
      act: cancel,
      expect: ended,
    };
  }
  return found;
}

/** The exchange is done but for the VM's start: to take it back takes the platform a look each to stop, exchange, start and remove. */
function cleanUps(): Record<string, Scenario> {
  const found: Record<string, Scenario> = {};
  for (let ticks = 0; ticks < 3; ticks++) {
    found[`reconcile (restore is taken back, tick ${ticks})`] = {
      prepare: async () => {
        const world = await reached(swap, "finishing", 4);
        await cancel(world, new Process());
        for (let tick = 0; tick < ticks; tick++) {
          world.clock.advance(2 * minuteMs);
          await world.reconcile({ sweep: "all" });
        }
        world.clock.advance(2 * minuteMs);
        return world;
      },
      act: (world, process) => world.reconcile({ sweep: "all" }, process),
      expect: ended,
    };
  }
  return found;
}

const trouble: Record<string, Scenario> = {
  "fail-poisoned (exchange, restore finishing)": {
    prepare: () => reached(swap, "finishing", 2),
    act: async (world, process) => {
      const [message] = world.visible();
      if (message === undefined) throw new Error("There is no message.");
      await failPoisoned(world.context(process), message, world.signal);
    },
    expect: ended,
  },
  "reconcile (restore whose message was lost)": {
    prepare: async () => {
      const world = await reached(toVm, "finishing", 1);
      for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
      world.clock.advance(15 * minuteMs);
      return world;
    },
    act: (world, process) => world.reconcile({ sweep: "all" }, process),
    expect: restored,
  },
};

export const machineScenarios: Readonly<Record<string, Scenario>> = {
  ...steps("restore to disks", toDisks, 1),
  ...steps("restore to a VM", toVm, 2),
  ...steps("restore by exchange", swap, 4),
  ...cleanUps(),
  ...trouble,
};
