/**
 * A life of an installation, drawn from a seed: schedules, requests, writes, changes of disks, and everything that can go wrong, at
 * once. `live` ends with all faults over and all runs ended.
 */
import { MemoryPower } from "../../../shared/adapters/memory/memory-power.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { parseDiskName, parseVmName } from "../../../shared/core/ids.ts";
import { parseResourceGroupId } from "../../../shared/core/resource-id.ts";
import type { RestoreTarget } from "../../../shared/core/run.ts";
import { isActive } from "../../../shared/core/run-transitions.ts";
import { cancelRun } from "../../../shared/operations/cancel-run.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { scheduleBackups } from "../../../shared/operations/schedule-backups.ts";
import type { Gate } from "./gated.ts";
import { Interleaver } from "./interleaver.ts";
import { Death, Process } from "./process.ts";
import type { SeededRandom } from "./seeded-random.ts";
import { chunkSizeBytes, diskUrl, groupId, minuteMs, World } from "./world.ts";

const vms = ["ada", "bob", "cyd"] as const;
/** Of the platform: its disks are exchanged now and then. */
const managed = "dee";
const diskBytes = 2 * 1024 * 1024;
const slotMinutes = 60;

export interface LifeReport {
  readonly deaths: number;
  readonly errors: number;
  readonly duplicates: number;
}

/** `shutdown`: the VMs are stopped for their snapshots. */
export async function beginLife(seed: number, shutdown = false): Promise<World> {
  const world = await World.create(seed);
  if (shutdown) world.source.power = new MemoryPower(world.clock.serviceNow);
  world.limits = { ...world.limits, windowsAhead: 1 + world.random.below(3) };
  world.source.diff = world.random.pick([{ kind: "exact" }, { kind: "everything" }] as const);
  world.source.powerState = "unknown";
  await world.addPolicy("standard", {
    schedule: { cron: `every ${slotMinutes} minutes`, timeZone: "UTC", jitterSeconds: 120 },
    retryWindowSeconds: 40 * 60,
    freezeTtlSeconds: 30,
    shutdown,
  });
  for (const vm of vms) {
    await world.addVm(vm, {
      disks: { os: diskBytes, data: diskBytes, odd: chunkSizeBytes + 512 },
      guest: vm !== "cyd",
    });
    world.scribble(vm, "os", 0, 10_000);
  }
  await world.addVm(managed, { disks: { os: diskBytes, data: diskBytes }, managed: true });
  world.scribble(managed, "os", 0, 10_000);
  world.machines.waits = world.random.below(3);
  return world;
}

export async function live(world: World, steps: number): Promise<LifeReport> {
  const { random } = world;
  const report = { deaths: 0, errors: 0, duplicates: 0 };
  const access: Access = { denied: undefined };
  for (let step = 0; step < steps; step++) {
    const works: (() => Promise<unknown>)[] = [];
    const interleaver = new Interleaver(random);
    const newProcess = () => troubledProcess(random, interleaver, access, report);
    for (let i = random.below(4); i > 0; i--) {
      const visible = world.visible();
      const anything = random.fraction() < 0.05 ? world.queue.pending() : visible;
      if (anything.length === 0) continue;
      const message = random.pick(anything);
      works.push(() => world.deliver(message, newProcess()));
      if (random.fraction() < 0.2) {
        report.duplicates++;
        works.push(() => world.perform(message.task, newProcess()));
      }
    }
    if (random.fraction() < 0.25) works.push(() => world.reconcile({ sweep: "all" }, newProcess()));
    if (random.fraction() < 0.2) works.push(() => scheduleBackups(world.context(newProcess()), {}, world.signal));
    if (random.fraction() < 0.1) {
      const vm = parseVmName(random.pick(vms));
      works.push(() => requestBackup(world.context(newProcess()), { vm }, world.signal));
    }
    if (random.fraction() < 0.05) {
      const request = {
        vm: random.pick(vms),
        point: { kind: "latest" },
        target: { kind: "container", url: `https://target.example/restore-${step}` },
      } as const;
      works.push(() => requestRestore(world.context(newProcess()), request, world.signal));
    }
    if (random.fraction() < 0.1) {
      // Into places that others want too, or into the disks themselves, of the VM whose guest does not answer: it has none.
      const target = random.pick<RestoreTarget>([
        { kind: "container", url: `https://target.example/shared-${random.below(2)}`, overwrite: true },
        { kind: "revert" },
      ]);
      const vm = target.kind === "revert" ? "cyd" : random.pick(vms);
      const request = { vm, point: { kind: "latest" }, target } as const;
      works.push(() => requestRestore(world.context(newProcess()), request, world.signal));
    }
    if (random.fraction() < 0.1) {
      // Of any VM, whole or a part: it is refused while the guest answers.
      const disks = random.fraction() < 0.5 ? {} : { disks: [{ name: parseDiskName(random.pick(["os", "data"])) }] };
      const request = {
        vm: random.pick(vms),
        point: { kind: "latest" },
        target: { kind: "revert" },
        ...disks,
      } as const;
      works.push(() => requestRestore(world.context(newProcess()), request, world.signal));
    }
    if (random.fraction() < 0.1) {
      const request = { point: { kind: "latest" }, ...platformRestore(random, step) } as const;
      works.push(() => requestRestore(world.context(newProcess()), request, world.signal));
    }
    if (random.fraction() < 0.04) {
      const active = (await world.runs()).filter(isActive);
      const run = active[random.below(active.length)];
      if (run !== undefined) works.push(() => cancelRun(world.context(newProcess()), run, world.signal));
    }
    for (const result of await interleaver.run(works)) {
      // What the program throws on purpose, and deaths, are part of life; everything else is a defect.
      if (
        result.status === "rejected" &&
        !(result.reason instanceof FarsideError) &&
        !(result.reason instanceof Death)
      ) {
        throw result.reason;
      }
    }
    happen(world);
    loseAccess(random, access);
  }
  await endTrouble(world);
  return report;
}

/** New disks, a VM in a place that others want too, or an exchange. */
function platformRestore(random: SeededRandom, step: number): { readonly vm: string; readonly target: RestoreTarget } {
  const resourceGroup = parseResourceGroupId(groupId);
  const target = random.pick<RestoreTarget>([
    { kind: "managed-disks", resourceGroup, location: "westeurope", namePrefix: `disks-${step}` },
    { kind: "managed-vm", resourceGroup, name: `twin-${random.below(3)}`, namePrefix: `twin-${step}` },
    { kind: "swap-disks", mayStop: true },
    { kind: "swap-disks", mayStop: true },
    { kind: "swap-disks", mayStop: true },
  ]);
  return { target, vm: target.kind === "swap-disks" ? managed : random.pick([...vms, managed]) };
}

/** A port whose every call is refused for good, as by a role that was taken away. It comes back: what is left by then must go. */
interface Access {
  denied: "target." | "machines." | "reverter." | "source." | "store." | undefined;
}

function loseAccess(random: SeededRandom, access: Access): void {
  const chance = random.fraction();
  if (access.denied !== undefined) {
    if (chance < 0.4) access.denied = undefined;
  } else if (chance < 0.05)
    access.denied = random.pick(["target.", "machines.", "reverter.", "source.", "store."] as const);
}

/** A process that may die, and whose services may fail, now and then. */
function troubledProcess(
  random: SeededRandom,
  interleaver: Interleaver,
  access: Access,
  report: { deaths: number; errors: number },
): Process {
  const also: Gate = {
    before: async (call) => {
      await interleaver.before();
      if (access.denied !== undefined && call.startsWith(access.denied)) {
        throw new FarsideError("forbidden", `The service refused ${call}.`);
      }
      if (random.fraction() < 0.004) fail(call);
    },
    after: async (call) => {
      if (random.fraction() < 0.004) fail(call);
    },
  };
  const fail = (call: string): never => {
    report.errors++;
    const retryAfter = random.fraction() < 0.5 ? { retryAfterMs: 5000 } : {};
    throw new FarsideError(
      random.fraction() < 0.5 ? "throttled" : "unavailable",
      `The service failed ${call}.`,
      retryAfter,
    );
  };
  if (random.fraction() > 0.12) return new Process({ kind: "lives" }, also);
  report.deaths++;
  const phase = random.fraction() < 0.5 ? "before" : "after";
  return new Process({ kind: "dies", phase, call: random.below(40) }, also);
}

/** What the world around does between two steps. */
function happen(world: World): void {
  const { random, clock, source } = world;
  const vm = random.pick(vms);
  const disk = random.pick(["os", "data"] as const);
  const url = diskUrl(vm, disk);
  const chance = random.fraction();
  const { sizeBytes } = source.image(url);
  // What a revert holds, nobody else writes to.
  if (chance < 0.58 && world.reverter.holders.has(url)) return clock.advance(random.below(20_000));
  if (chance < 0.5) world.scribble(vm, disk, random.below(sizeBytes - 8192), 1 + random.below(8000));
  else if (chance < 0.55) source.clear(url, 0, 128 * 1024);
  else if (chance < 0.57) source.resizeDisk(url, sizeBytes + 512 * (1 + random.below(4000)));
  else if (chance < 0.58) source.addDisk(url, diskBytes);
  else if (chance < 0.64) source.conditions = random.fraction() < 0.5 ? ["migration-in-progress"] : [];
  else if (chance < 0.7) {
    const guest = world.guests.get(`https://guest.example/${vm}`);
    if (guest !== undefined)
      guest.behaviour = random.pick(["well", "well", "dead", "freezes-and-hangs", "thaws-early"] as const);
  } else if (chance < 0.72) {
    let left = 1 + random.below(3);
    source.beforeSnapshot = () => {
      if (left-- === 1) throw new Error("The snapshot failed.");
    };
  } else if (chance < 0.74) clock.setWrongBy(random.pick([0, 0, 26 * 60, -26 * 60]) * minuteMs);
  if (source.power !== undefined) troubleMachines(random, source.power);
  clock.advance(random.fraction() < 0.2 ? random.below(12 * minuteMs) : random.below(20_000));
}

/** Machines that take their time to stop and start, or do not. */
function troubleMachines(random: SeededRandom, power: MemoryPower): void {
  const error = () => new FarsideError("unavailable", "AllocationFailed");
  const chance = random.fraction();
  if (chance < 0.05) power.failingStarts.push(error());
  else if (chance < 0.08) power.failingStops.push(error());
  else if (chance < 0.2) power.stopTakesMs = random.pick([0, 20_000, 3 * minuteMs, 3 * minuteMs, 30 * minuteMs]);
  else if (chance < 0.3) power.startTakesMs = random.pick([0, 20_000, 3 * minuteMs]);
}

async function endTrouble(world: World): Promise<void> {
  world.source.power?.failingStarts.splice(0);
  world.source.power?.failingStops.splice(0);
  if (world.source.power !== undefined) world.source.power.stopTakesMs = minuteMs;
  world.clock.setWrongBy(0);
  world.source.conditions = [];
  world.source.beforeSnapshot = () => undefined;
  for (const guest of world.guests.values()) guest.behaviour = "well";
  await world.settle();
}

/** Invariant I6: from the next slot on, every VM has its restore point. */
export async function vmsWithoutNextPoint(world: World): Promise<readonly string[]> {
  const before = world.clock.now();
  // Twice: a clock that was ahead may have used up a slot.
  for (let slot = 0; slot < 2; slot++) {
    world.clock.advance(slotMinutes * minuteMs);
    await scheduleBackups(world.context(), {}, world.signal);
    await world.settle();
  }
  const late: string[] = [];
  for (const vm of [...vms, managed]) {
    const state = (await world.catalog.vmStates.get((await vmIdOfName(world, vm)) ?? never(vm), world.signal))?.value;
    if (state?.lastPointAt === undefined || Date.parse(state.lastPointAt) < before) late.push(vm);
  }
  return late;
}

async function vmIdOfName(world: World, vm: string) {
  return (await world.catalog.vms.get(parseVmName(vm), world.signal))?.value.vmId;
}

function never(vm: string): never {
  throw new Error(`The VM ${vm} is gone.`);
}
