import { describe, expect, test } from "vitest";
import { parseVmName } from "../../shared/core/ids.ts";
import type { Task } from "../../shared/core/task.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../shared/operations/fail-poisoned.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { requestRestore } from "../../shared/operations/request-restore.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { Stall } from "../support/simulation/stall.ts";
import { minuteMs, World } from "../support/simulation/world.ts";

const mib = 1024 * 1024;
const web = parseVmName("web");

async function requested(guest = true): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard");
  await world.addVm("web", { disks: { os: mib, data: mib }, guest });
  world.scribble("web", "os", 0);
  world.scribble("web", "data", 0);
  await requestBackup(world.context(), { vm: web }, world.signal);
  return world;
}

function nextTask(world: World): Task {
  const [message] = world.visible();
  if (message === undefined) throw new Error("There is no message.");
  return message.task;
}

const stalled = (stall: Stall) => new Process({ kind: "lives" }, stall);

/** Processes that go on after everybody has given them up. */
describe("An attempt whose owner stands still for longer than its lease", () => {
  test("loses the run to a new attempt, and takes its own snapshots away when it wakes", async () => {
    const world = await requested();
    const stall = new Stall("after", "source.snapshot");
    const zombie = world.perform(nextTask(world), stalled(stall));
    await stall.asleep;
    world.clock.advance(15 * minuteMs);
    await world.settle();
    expect(await world.runs()).toMatchObject([{ state: "succeeded", attempt: 2 }]);
    stall.wake();
    expect(await zombie).toMatchObject({ kind: "late" });
    expect(await breaches(world)).toEqual([]);
  });

  test("does not put its snapshots into the row of the attempt that follows, be that one in the middle of its own", async () => {
    // Without a guest: a freeze of the second attempt would tell the first one already that it is too late.
    const world = await requested(false);
    const task = nextTask(world);
    for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
    const [first, second] = [new Stall("after", "source.snapshot"), new Stall("after", "source.snapshot")];
    const zombie = world.perform(task, stalled(first));
    await first.asleep;
    world.clock.advance(15 * minuteMs);
    await world.reconcile();
    const owner = world.perform(task, stalled(second));
    await second.asleep;
    first.wake();
    expect(await zombie).toMatchObject({ kind: "late" });
    expect(await world.runs()).toMatchObject([{ state: "snapshotting", attempt: 2 }]);
    second.wake();
    expect(await owner).toMatchObject({ kind: "done" });
    await world.settle();
    const [run] = await world.runs();
    expect(run).toMatchObject({ state: "succeeded", set: { attemptId: `${task.runId}-2` } });
    expect(await breaches(world)).toEqual([]);
  });

  test("and had only looked at the platform leaves the snapshots alone that another delivery goes on with", async () => {
    const world = await requested(false);
    world.source.waits = 2;
    await world.drain();
    world.clock.advance(minuteMs);
    const stall = new Stall("after", "source.continueSnapshot");
    const task = nextTask(world);
    const zombie = world.perform(task, stalled(stall));
    await stall.asleep;
    // Its lease is over: another delivery finds the snapshots taken, and copies.
    world.clock.advance(15 * minuteMs);
    await world.perform(task);
    expect(await world.runs()).toMatchObject([{ state: "copying", attempt: 1 }]);
    stall.wake();
    expect(await zombie).toMatchObject({ kind: "late" });
    await world.settle();
    expect(await world.runs()).toMatchObject([{ state: "succeeded", attempt: 1 }]);
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A commit", () => {
  test("that comes before all windows are in does nothing", async () => {
    const world = await requested();
    await world.deliver(world.visible()[0] ?? never());
    const [run] = await world.runs();
    if (run?.kind !== "backup" || run.state !== "copying") throw new Error("It does not copy.");
    const { runId, set } = run;
    const early = await world.perform({ kind: "commit-restore-point", runId, attemptId: set.attemptId });
    expect(early).toEqual({ kind: "late", reason: "2 windows are missing" });
    expect(await world.run(runId)).toMatchObject({ state: "copying" });
  });

  test("that is poisoned after its manifest stood does not make a failure of a success", async () => {
    const world = await requested();
    while (nextTask(world).kind !== "commit-restore-point") await world.deliver(world.visible()[0] ?? never());
    const task = nextTask(world);
    const counting = await requested();
    while (nextTask(counting).kind !== "commit-restore-point") await counting.deliver(counting.visible()[0] ?? never());
    const undisturbed = new Process();
    await counting.perform(nextTask(counting), undisturbed);
    const call = undisturbed.calls.indexOf("catalog.restorePoints.insert");
    await world.deliver(world.visible()[0] ?? never(), new Process({ kind: "dies", phase: "before", call }));
    for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
    expect(world.store.names().some((name) => name.endsWith("/manifest.json"))).toBe(true);
    expect(await failPoisoned(world.context(), { task }, world.signal)).toMatchObject({ kind: "late" });
    await world.settle();
    expect(await world.runs()).toMatchObject([{ state: "succeeded" }]);
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A run that is cancelled", () => {
  test("just as another delivery begins to commit succeeds, and is not both", async () => {
    const world = await requested();
    while (nextTask(world).kind !== "commit-restore-point") await world.deliver(world.visible()[0] ?? never());
    const task = nextTask(world);
    const asked = await world.catalog.runs.get(task.runId, world.signal);
    if (asked === undefined) throw new Error("The run is gone.");
    const slow = new Stall("after", "catalog.runs.get");
    const fast = new Stall("before", "store.create");
    const committer = world.perform(task, stalled(fast));
    await fast.asleep;
    const committing = await world.catalog.runs.get(task.runId, world.signal);
    if (committing === undefined) throw new Error("The run is gone.");
    expect(committing.value.state).toBe("committing");
    // The other delivery read the row a moment ago, when it still copied and the cancel had been asked for.
    await world.catalog.runs.replace(
      committing,
      { ...asked.value, cancelRequestedAt: asked.value.createdAt },
      world.signal,
    );
    const canceller = world.perform(task, stalled(slow));
    await slow.asleep;
    const now = await world.catalog.runs.get(task.runId, world.signal);
    if (now === undefined) throw new Error("The run is gone.");
    await world.catalog.runs.replace(now, committing.value, world.signal);
    slow.wake();
    expect(await canceller).toEqual({ kind: "late", reason: "the run is committing" });
    fast.wake();
    expect(await committer).toEqual({ kind: "ended", state: "succeeded" });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A restore that is cancelled", () => {
  test("while a late delivery still makes its targets leaves none of them", async () => {
    const world = await requested();
    await world.settle();
    const targetUrl = "https://target.example/back";
    const asked = await requestRestore(
      world.context(),
      { vm: "web", point: { kind: "latest" }, target: { kind: "container", url: targetUrl } },
      world.signal,
    );
    const stall = new Stall("before", "target.prepare");
    const zombie = world.perform(nextTask(world), stalled(stall));
    await stall.asleep;
    await world.deliver(world.visible()[0] ?? never());
    expect(await cancelRun(world.context(), asked.run, world.signal)).toMatchObject({ kind: "cancelled" });
    stall.wake();
    expect(await zombie).toMatchObject({ kind: "late" });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

function never(): never {
  throw new Error("There is none.");
}
