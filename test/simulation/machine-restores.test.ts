/** Restores to the platform, which takes its time for everything: managed disks, new VMs, and exchanges of a VM's disks. */
import { describe, expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseVmName } from "../../shared/core/ids.ts";
import { longestRestoreMs } from "../../shared/core/restore-plan.ts";
import type { RestoreRun } from "../../shared/core/run.ts";
import { hasEnded } from "../../shared/core/run.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../shared/operations/fail-poisoned.ts";
import { listAll } from "../../shared/operations/list-all.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { requestRestore, type RestoreRequest } from "../../shared/operations/request-restore.ts";
import { breaches } from "../support/simulation/invariants.ts";
import {
  askFor,
  managedVm,
  reached,
  restoreOf,
  standsWell,
  swap,
  toDisks,
  toVm,
  twinId,
  webId,
} from "../support/simulation/machine-scenarios.ts";
import { Process } from "../support/simulation/process.ts";
import { Stall } from "../support/simulation/stall.ts";
import { twoPoints } from "../support/simulation/two-points.ts";
import { diskUrl, minuteMs, type World } from "../support/simulation/world.ts";

const hourMs = 60 * minuteMs;

const ask = (world: World, request: Partial<RestoreRequest>) =>
  requestRestore(world.context(), { vm: "web", point: { kind: "latest" }, target: toDisks, ...request }, world.signal);

const backUp = (world: World) => requestBackup(world.context(), { vm: parseVmName("web") }, world.signal);

async function deliverNext(world: World, process = new Process()): Promise<unknown> {
  const [next] = world.visible();
  if (next === undefined) throw new Error("There is no message.");
  return world.deliver(next, process);
}

/** Nothing of a run that did not succeed is there, and the VM stands as it did. */
async function nothingLeft(world: World): Promise<void> {
  expect(world.machines.traces((await restoreOf(world)).runId)).toEqual([]);
  await standsWell(world);
  expect(await breaches(world)).toEqual([]);
}

/** Fails the next `times` calls of this name, in every process. */
function failNext(
  world: World,
  call: "prepare" | "finish" | "takeBack" | "write",
  error: Error,
  times = 1,
): () => number {
  const { machines } = world;
  const original = machines[call].bind(machines);
  let failed = 0;
  Object.assign(machines, {
    [call]: async (...args: never[]) => {
      if (failed < times) {
        failed++;
        throw error;
      }
      return Reflect.apply(original, machines, args);
    },
  });
  return () => failed;
}

describe("A restore to the platform", () => {
  test("works from the vault alone: nobody protects the VM any more, and its rows are gone", async () => {
    for (const target of [toDisks, toVm]) {
      const world = await managedVm();
      await world.catalog.vms.remove(parseVmName("web"), undefined, world.signal);
      await ask(world, { target });
      await world.settle();
      expect(await restoreOf(world)).toMatchObject({ state: "succeeded", machine: { made: expect.any(Array) } });
      expect((await breaches(world)).filter((breach) => breach.startsWith("I1"))).toEqual([]);
    }
  });

  test("says what it made, in the order of its making, and every note of the way", async () => {
    const world = await managedVm();
    world.machines.notes = ["The address cannot be kept."];
    const finish = world.machines.finish.bind(world.machines);
    world.machines.finish = async (...args) => {
      const progress = await finish(...args);
      return progress.kind === "done" ? { ...progress, notes: ["An extension is not made again."] } : progress;
    };
    const { run } = await ask(world, { target: toVm });
    expect(run.machine).toMatchObject({ notes: ["The address cannot be kept."], made: [] });
    await world.settle();
    const { machine, disks } = await restoreOf(world);
    expect(machine?.made).toEqual([...disks.map(({ url: id }) => ({ kind: "disk", id })), { kind: "vm", id: twinId }]);
    expect(machine?.notes).toEqual(["The address cannot be kept.", "An extension is not made again."]);
    expect(disks.map(({ restoredBytes, sizeBytes }) => restoredBytes - sizeBytes)).toEqual([0, 0]);
  });

  test("that cannot be is refused before anything is made", async () => {
    const world = await managedVm();
    const { manifest } = { manifest: (await world.catalog.restorePoints.list({ limit: 1 }, world.signal)).items[0] };
    if (manifest === undefined) throw new Error("There is no point.");
    world.machines.addMachine(twinId, []);
    const refusals: readonly (readonly [Partial<RestoreRequest>, string])[] = [
      [{ target: toVm }, "target-exists"],
      [{ target: { kind: "swap-disks", mayStop: false } }, "in-use"],
      [{ vm: "nobody" }, "not-found"],
    ];
    const runs = (await world.runs()).length;
    for (const [request, code] of refusals) await expect(ask(world, request)).rejects.toMatchObject({ code });
    await world.catalog.vms.remove(parseVmName("web"), undefined, world.signal);
    await expect(ask(world, { target: swap })).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("not protected any more"),
    });
    expect(await world.runs()).toHaveLength(runs);
    expect(world.queue.pending()).toEqual([]);
    expect(await breaches(world)).toEqual([]);
  });

  test("by exchange is refused for a VM that is none of the platform's", async () => {
    const world = await twoPoints();
    await expect(ask(world, { vm: "Web.01", target: swap })).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("not protected as a VM of Azure"),
    });
  });

  test("with the same key is the same run, also when asked for many times at once; with another target it is refused", async () => {
    for (const target of [toDisks, toVm, swap]) {
      const world = await managedVm();
      const asked = await Promise.all(Array.from({ length: 6 }, () => askFor(world, target)));
      expect(new Set(asked.map(({ run }) => run.runId)).size).toBe(1);
      const other = target === swap ? toVm : { ...target, namePrefix: "other" };
      await expect(askFor(world, other)).rejects.toMatchObject({ code: "already-exists" });
      await world.settle();
      expect(await askFor(world, target)).toMatchObject({ kind: "repeated", run: { state: "succeeded" } });
      expect(await breaches(world)).toEqual([]);
    }
  });
});

describe("The platform", () => {
  test("is looked at by delayed messages, not before its time, and by one delivery only", async () => {
    const world = await reached(toVm, "preparing", 1);
    const { runId } = await restoreOf(world);
    const start = { kind: "start-restore", runId } as const;
    world.clock.advance(-30_000);
    const early = new Process();
    expect(await world.perform(start, early)).toMatchObject({ kind: "late" });
    expect(early.calls.filter((call) => call.startsWith("machines."))).toEqual([]);
    world.clock.advance(30_000);
    const both = [new Process(), new Process()];
    const kinds = (await Promise.all(both.map((process) => world.perform(start, process)))).map(({ kind }) => kind);
    expect(kinds).toContain("late");
    expect(both.flatMap(({ calls }) => calls.filter((call) => call === "machines.prepare"))).toHaveLength(1);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "succeeded" });
    expect(await breaches(world)).toEqual([]);
  });

  test("is come back to also where every message is lost", async () => {
    const world = await managedVm();
    await askFor(world, swap);
    for (let lost = 0; lost < 40 && !hasEnded(await restoreOf(world)); lost++) {
      for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
      for (let tick = 0; tick < 10 && world.visible().length === 0; tick++) {
        world.clock.advance(2 * minuteMs);
        await world.reconcile();
      }
      if (world.visible().length > 0) await deliverNext(world);
    }
    const run = await restoreOf(world);
    expect(run).toMatchObject({ state: "succeeded" });
    expect((await world.eventNames(run.runId)).filter((name) => name === "messages-resent").length).toBeGreaterThan(5);
    await world.settle();
    await standsWell(world);
    expect(await breaches(world)).toEqual([]);
  });

  test.each([
    ["prepare", "preparing"],
    ["finish", "finishing"],
  ] as const)(
    "that asks for 20 minutes at `%s` gets them, for that run alone, and no delivery is spent",
    async (call, state) => {
      const world = await reached(toVm, state, 1);
      const asked = failNext(world, call, new FarsideError("throttled", "Slow down.", { retryAfterMs: 20 * minuteMs }));
      expect(await deliverNext(world)).toEqual({ kind: "continued" });
      expect(
        world.queue.pending().map(({ deliveries, visibleAtMs }) => [deliveries, visibleAtMs - world.clock.now()]),
      ).toEqual([[0, 20 * minuteMs]]);
      // Neither the reconciler nor a message that comes twice asks earlier.
      const { runId } = await restoreOf(world);
      for (let tick = 0; tick < 9; tick++) {
        world.clock.advance(2 * minuteMs);
        await world.reconcile({ sweep: "all" });
        expect(world.visible()).toEqual([]);
        const task = { kind: state === "preparing" ? "start-restore" : "finish-restore", runId } as const;
        expect(await world.perform(task)).toMatchObject({ kind: "late" });
      }
      expect(asked()).toBe(1);
      await backUp(world);
      await world.settle();
      expect((await world.runs()).map((run) => run.state)).toEqual(["succeeded", "succeeded", "succeeded"]);
      expect(await breaches(world)).toEqual([]);
    },
  );

  test("that asks for time while a window is written gets it", async () => {
    const world = await reached(toDisks, "copying");
    failNext(world, "write", new FarsideError("throttled", "Slow down.", { retryAfterMs: 7 * minuteMs }));
    expect(await deliverNext(world)).toEqual({ kind: "continued" });
    expect((world.queue.pending()[0]?.visibleAtMs ?? 0) - world.clock.now()).toBe(7 * minuteMs);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "succeeded" });
  });

  test.each(["prepare", "finish"] as const)(
    "whose operation does not end makes the run fail with that, and not as poisoned: `%s`",
    async (call) => {
      const world = await reached(swap, call === "prepare" ? "preparing" : "finishing", 1);
      failNext(world, call, new FarsideError("deadline-passed", "The disk was not made within two hours."));
      await world.settle();
      expect(await restoreOf(world)).toMatchObject({ state: "failed", error: { code: "deadline-passed" } });
      await nothingLeft(world);
    },
  );

  test("that fails each delivery for a while, and then not, costs the run nothing but time", async () => {
    const world = await reached(swap, "finishing", 2);
    failNext(world, "finish", new FarsideError("unavailable", "No answer."), 4);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "succeeded" });
    await standsWell(world);
  });

  test("that does not answer at any delivery makes the run fail as poisoned, and nothing is left", async () => {
    const world = await reached(swap, "finishing", 3);
    failNext(world, "finish", new FarsideError("unavailable", "No answer."), 1000);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "failed", error: { code: "poisoned" } });
    await nothingLeft(world);
  });

  test("that never comes to its end is given up after seven days, and nothing is left", async () => {
    for (const [state, looks] of [["preparing", 1] as const, ["finishing", 2] as const]) {
      const world = await reached(swap, state, looks);
      world.machines.waits = 100_000;
      world.machines.retryAfterMs = 2 * hourMs;
      world.machines.forgetBegun();
      for (let passedMs = 0; passedMs < longestRestoreMs + 4 * hourMs; passedMs += 2 * hourMs) {
        expect(hasEnded(await restoreOf(world))).toBe(passedMs > longestRestoreMs);
        await world.drain();
        await world.reconcile({ sweep: "all" });
        world.clock.advance(2 * hourMs);
      }
      world.machines.waits = 1;
      world.machines.forgetBegun();
      await world.settle();
      expect(await restoreOf(world)).toMatchObject({ state: "failed", error: { code: "deadline-passed" } });
      await nothingLeft(world);
    }
  });
});

describe("An exchange of a VM's disks", () => {
  test("has the VM to itself: no backup, no other exchange, also while it is taken back; then backups go on", async () => {
    const world = await managedVm();
    const { run } = await askFor(world, swap);
    const active = { code: "run-active", details: { runId: run.runId } };
    await expect(backUp(world)).rejects.toMatchObject(active);
    await expect(ask(world, { target: swap })).rejects.toMatchObject(active);
    const finishing = await reached(swap, "finishing", 4);
    await cancelRun(finishing.context(), await restoreOf(finishing), finishing.signal);
    expect(await restoreOf(finishing)).toMatchObject({ state: "cancelled", cleanUp: "pending" });
    expect(finishing.machines.machine(webId)?.running).not.toBe(true);
    await expect(backUp(finishing)).rejects.toMatchObject({ code: "run-active" });
    await finishing.settle();
    await nothingLeft(finishing);
    await backUp(finishing);
    await finishing.settle();
    await world.settle();
    await backUp(world);
    await world.settle();
    // Of the disks that the VM has now: the invariants compare the point with their snapshots.
    expect(await breaches(world)).toEqual([]);
    expect(await breaches(finishing)).toEqual([]);
  });

  test("of a stopped VM leaves it stopped, and needs no leave to stop it", async () => {
    const world = await managedVm();
    world.machines.setRunning(webId, false);
    await ask(world, { target: { kind: "swap-disks", mayStop: false } });
    await world.settle();
    const run = await restoreOf(world);
    expect(run).toMatchObject({ state: "succeeded" });
    expect(world.machines.machine(webId)).toMatchObject({
      running: false,
      disks: run.disks.map(({ url }) => ({ url })),
    });
    expect(run.machine?.made.filter(({ kind }) => kind === "detached-disk").map(({ id }) => id)).toEqual([
      diskUrl("web", "os"),
      diskUrl("web", "data"),
    ]);
  });

  test("goes on to its end where the VM is not protected any more in the middle of it", async () => {
    const world = await reached(swap, "copying");
    await world.catalog.vms.remove(parseVmName("web"), undefined, world.signal);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "succeeded" });
    await standsWell(world);
  });
});

describe("A restore to the platform that is cancelled", () => {
  test("while somebody looks is asked, and ends at the next look", async () => {
    const world = await reached(swap, "finishing", 2);
    const stall = new Stall("before", "machines.finish");
    const looking = deliverNext(world, new Process({ kind: "lives" }, stall));
    await stall.asleep;
    const run = await restoreOf(world);
    expect(await cancelRun(world.context(), run, world.signal)).toMatchObject({ kind: "requested" });
    stall.wake();
    await looking;
    expect(hasEnded(await restoreOf(world))).toBe(false);
    world.clock.advance(minuteMs);
    await world.drain();
    expect(await restoreOf(world)).toMatchObject({ state: "cancelled" });
    await world.settle();
    await nothingLeft(world);
  });

  test("is cleaned up in the platform's time: its row says when to ask again, and nobody asks earlier", async () => {
    const world = await reached(toVm, "finishing", 2);
    world.machines.retryAfterMs = 10 * minuteMs;
    await cancelRun(world.context(), await restoreOf(world), world.signal);
    for (let tick = 0; tick < 4; tick++) {
      const process = new Process();
      world.clock.advance(2 * minuteMs);
      const { failures } = await world.reconcile({ sweep: "all" }, process);
      expect(failures).toBe(0);
      expect(process.calls.filter((call) => call.startsWith("machines."))).toEqual([]);
    }
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ cleanUp: "done" });
    expect(await restoreOf(world)).not.toHaveProperty("cleanUpAt");
    await nothingLeft(world);
  });

  test("while the platform asks to slow down gives it that time", async () => {
    const world = await reached(toVm, "finishing", 1);
    const asked = failNext(world, "takeBack", new FarsideError("throttled", "Slow down.", { retryAfterMs: hourMs }));
    await cancelRun(world.context(), await restoreOf(world), world.signal);
    for (let tick = 0; tick < 29; tick++) {
      world.clock.advance(2 * minuteMs);
      await world.reconcile({ sweep: "all" });
    }
    expect(asked()).toBe(1);
    expect(world.machines.traces((await restoreOf(world)).runId)).not.toEqual([]);
    await world.settle();
    await nothingLeft(world);
  });

  test("tells what must not be removed, and comes to its end", async () => {
    const world = await reached(toDisks, "finishing", 1);
    const run = await restoreOf(world);
    const id = run.disks[0]?.url ?? "";
    world.machines.inUse.add(id);
    await cancelRun(world.context(), run, world.signal);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "cancelled", cleanUp: "done" });
    const events = await Array.fromAsync(listAll(world.catalog.runEvents, { runId: run.runId }, world.signal));
    const left = events.find(({ value }) => value.name === "target-left");
    expect(left?.value.message).toContain(id);
    expect(world.machines.traces(run.runId)).toEqual([id]);
  });

  test("is taken back also where access was taken away for less than a day; after that it is told", async () => {
    const forbidden = new FarsideError("forbidden", "The service refused the access.");
    const soon = await reached(toVm, "finishing", 1);
    failNext(soon, "takeBack", forbidden, 5);
    await cancelRun(soon.context(), await restoreOf(soon), soon.signal);
    await soon.settle();
    await nothingLeft(soon);
    const never = await reached(toVm, "finishing", 1);
    failNext(never, "takeBack", forbidden, 100_000);
    const run = await restoreOf(never);
    await cancelRun(never.context(), run, never.signal);
    await never.settle();
    expect(await never.eventNames(run.runId)).toContain("target-left");
  });

  test("is taken back also where the vault has lost its restore point by then", async () => {
    const world = await reached(swap, "finishing", 4);
    for (const name of world.store.names()) {
      if (name.startsWith("restore-points/")) await world.store.remove(name, {}, world.signal);
    }
    await expect(ask(world, {})).rejects.toMatchObject({ code: "not-found" });
    await cancelRun(world.context(), await restoreOf(world), world.signal);
    await world.settle();
    expect(world.machines.traces((await restoreOf(world)).runId)).toEqual([]);
    expect(world.machines.unwell()).toEqual([]);
  });
});

describe("A delivery that comes back after its lease, and after the run's end,", () => {
  const pastLease = 3 * minuteMs;

  async function zombie(call: "machines.prepare" | "machines.finish", run: () => Promise<World>) {
    const world = await run();
    const stall = new Stall("before", call);
    const process = new Process({ kind: "lives" }, stall);
    const step = deliverNext(world, process).catch(String);
    await stall.asleep;
    await cancelRun(world.context(), await restoreOf(world), world.signal);
    world.clock.advance(pastLease);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "cancelled", cleanUp: "done" });
    await nothingLeft(world);
    return { world, process, step, stall };
  }

  test("leaves nothing of what it made then", async () => {
    const { world, step, stall } = await zombie("machines.prepare", () => reached(toDisks, "queued"));
    stall.wake();
    expect(await step).toMatchObject({ kind: "late" });
    expect(world.machines.traces((await restoreOf(world)).runId)).not.toEqual([]);
    expect(await restoreOf(world)).toMatchObject({ cleanUp: "pending" });
    await world.settle();
    await nothingLeft(world);
  });

  test("and dies, has not changed the VM for long: the VM's sweep finds it", async () => {
    const { world, process, step } = await zombie("machines.prepare", () => reached(swap, "queued"));
    process.dead = true;
    void step;
    const run = await restoreOf(world);
    const restore = { ...run, ...run.machine, configuration: {}, disks: run.disks.map(asMachineDisk) };
    if (run.target.kind !== "swap-disks") throw new Error("It is no exchange.");
    await world.machines.prepare(
      { ...restore, target: run.target, snapshotAt: run.createdAt },
      undefined,
      world.signal,
    );
    expect(world.machines.traces(run.runId)).not.toEqual([]);
    await world.settle();
    await world.reconcile({ sweep: "all" });
    await world.settle();
    await nothingLeft(world);
  });

  test("finds its disks gone, and changes nothing", async () => {
    const { world, step, stall } = await zombie("machines.finish", () => reached(swap, "finishing", 2));
    stall.wake();
    expect(await step).toMatchObject({ kind: "late" });
    await world.settle();
    await nothingLeft(world);
  });

  test("while the run goes on, leaves it to the one that took its place", async () => {
    const world = await reached(swap, "finishing", 3);
    const stall = new Stall("after", "machines.finish");
    const late = deliverNext(world, new Process({ kind: "lives" }, stall));
    await stall.asleep;
    world.clock.advance(pastLease);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "succeeded" });
    stall.wake();
    expect(await late).toMatchObject({ kind: "late" });
    await world.settle();
    await standsWell(world);
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A look at the platform", () => {
  test("is not ended by one that has lost its place to it, nor by a message that is poisoned meanwhile", async () => {
    const world = await reached(swap, "finishing", 2);
    const { runId } = await restoreOf(world);
    const task = { kind: "finish-restore", runId } as const;
    const first = new Stall("after", "machines.finish");
    const lost = deliverNext(world, new Process({ kind: "lives" }, first));
    await first.asleep;
    world.clock.advance(3 * minuteMs);
    const second = new Stall("before", "machines.finish");
    const looking = world.perform(task, new Process({ kind: "lives" }, second));
    await second.asleep;
    first.wake();
    expect(await lost).toMatchObject({ kind: "late" });
    expect(await failPoisoned(world.context(), { task }, world.signal)).toMatchObject({ kind: "late" });
    const third = new Process();
    expect(await world.perform(task, third)).toMatchObject({ kind: "late" });
    expect(third.calls.filter((call) => call.startsWith("machines."))).toEqual([]);
    second.wake();
    await looking;
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "succeeded" });
    await standsWell(world);
  });
});

function asMachineDisk({ name, sizeBytes, url }: RestoreRun["disks"][number]) {
  return { name, sizeBytes, url, role: "data", logicalSectorSize: 512 } as const;
}

describe("A window's delivery that comes back when its disk is finished", () => {
  test("is late, and writes nothing", async () => {
    const world = await reached(toVm, "copying");
    const stall = new Stall("before", "machines.write");
    const late = deliverNext(world, new Process({ kind: "lives" }, stall));
    await stall.asleep;
    world.clock.advance(minuteMs);
    await world.settle();
    expect(await restoreOf(world)).toMatchObject({ state: "succeeded" });
    stall.wake();
    expect(await late).toMatchObject({ kind: "late" });
    expect(await breaches(world)).toEqual([]);
  });
});

describe("The checks of these tests", () => {
  test("see what a clean-up leaves that takes nothing back", async () => {
    const world = await reached(swap, "finishing", 3);
    world.machines.takeBack = () => Promise.resolve({ kind: "gone", left: [] });
    await cancelRun(world.context(), await restoreOf(world), world.signal);
    await world.settle();
    const found = await breaches(world);
    expect(found).toContainEqual(expect.stringMatching(/^I9: .*disks.* is left of run/));
    expect(found).toContainEqual(expect.stringMatching(/^Platform: the VM .* is stopped/));
  });
});
