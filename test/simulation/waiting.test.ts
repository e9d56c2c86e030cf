import { describe, expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { attemptId, parseVmName } from "../../shared/core/ids.ts";
import type { Run } from "../../shared/core/run.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { failPoisoned } from "../../shared/operations/fail-poisoned.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { scheduleBackups } from "../../shared/operations/schedule-backups.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { minuteMs, World } from "../support/simulation/world.ts";

const mib = 1024 * 1024;
const web = parseVmName("web");

async function worldWith(policy: Parameters<World["addPolicy"]>[1] = {}): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard", policy);
  await world.addVm("web", { disks: { os: mib, data: mib } });
  world.scribble("web", "os", 0);
  world.scribble("web", "data", 0);
  return world;
}

const ask = (world: World, idempotencyKey?: string) =>
  requestBackup(
    world.context(),
    { vm: web, ...(idempotencyKey === undefined ? {} : { idempotencyKey }) },
    world.signal,
  );

async function onlyRun(world: World): Promise<Run> {
  const [run, ...others] = await world.runs();
  if (run === undefined || others.length > 0) throw new Error("There is not one run.");
  return run;
}

/** Fails every call of this name. */
function failing(call: string, error: () => Error): Process {
  const gate = {
    before: async (name: string) => {
      if (name === call) throw error();
    },
    after: () => Promise.resolve(),
  };
  return new Process({ kind: "lives" }, gate);
}

describe("A request for a backup", () => {
  test("while one is active is answered with that one's id", async () => {
    const world = await worldWith();
    const { run } = await ask(world);
    await expect(ask(world)).rejects.toMatchObject({ code: "run-active", details: { runId: run.runId } });
    await world.settle();
    expect(await ask(world)).toMatchObject({ kind: "started" });
  });

  test("with the same key is the same run, before and after its end", async () => {
    const world = await worldWith();
    const first = await ask(world, "one");
    expect(await ask(world, "one")).toMatchObject({ kind: "repeated", run: { runId: first.run.runId } });
    await world.settle();
    expect(await ask(world, "one")).toMatchObject({ kind: "repeated", run: { state: "succeeded" } });
    expect(await ask(world, "two")).toMatchObject({ kind: "started" });
  });

  test("for a VM that nobody knows is refused, and nothing is made", async () => {
    const world = await worldWith();
    const nobody = parseVmName("nobody");
    await expect(requestBackup(world.context(), { vm: nobody }, world.signal)).rejects.toMatchObject({
      code: "not-found",
    });
    expect(await world.runs()).toEqual([]);
    expect(world.queue.pending()).toEqual([]);
  });

  test("takes over the claim of a run that never came to be", async () => {
    const world = await worldWith();
    const { run } = await ask(world);
    await world.catalog.runs.remove(run.runId, undefined, world.signal);
    expect(await ask(world)).toMatchObject({ kind: "started" });
  });
});

describe("A VM that is not safe to back up", () => {
  test("is tried again with growing delays, and backed up when it is", async () => {
    const world = await worldWith();
    world.source.conditions = ["migration-in-progress"];
    await ask(world);
    const delays: number[] = [];
    for (let i = 0; i < 4; i++) {
      await world.drain();
      const next = (world.queue.pending()[0]?.visibleAtMs ?? 0) - world.clock.serviceNow();
      delays.push(next);
      world.clock.advance(next);
    }
    expect(delays.every((delay, i) => i === 0 || delay > (delays[i - 1] ?? 0) * 0.99)).toBe(true);
    expect(delays[3]).toBeGreaterThan(100_000);
    world.source.conditions = [];
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({ state: "succeeded" });
    expect(await breaches(world)).toEqual([]);
  });

  test("until the retry window ends makes the run fail with the condition named", async () => {
    const world = await worldWith({ retryWindowSeconds: 1800 });
    world.source.conditions = ["replica-health-critical"];
    await ask(world);
    await world.settle();
    const run = await onlyRun(world);
    expect(run).toMatchObject({
      state: "failed",
      error: { code: "not-ready", details: { condition: "replica-health-critical" } },
    });
    expect(run).toHaveProperty("error.message", expect.stringContaining("its replication health is critical"));
    expect(await breaches(world)).toEqual([]);
  });

  test("since another run has it is waited for by a scheduled run", async () => {
    const schedule = { cron: "every 60 minutes", timeZone: "UTC", jitterSeconds: 0 };
    const world = await worldWith({ schedule });
    world.clock.advance(60 * minuteMs);
    await ask(world);
    await scheduleBackups(world.context(), {}, world.signal);
    const [, second] = world.visible();
    const outcome = second && (await world.deliver(second));
    expect(outcome).toEqual({ kind: "waiting", condition: "another-run-active" });
    await world.settle();
    expect((await world.runs()).map((run) => run.state)).toEqual(["succeeded", "succeeded"]);
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A platform that makes its snapshots in its own time", () => {
  const pendingWorld = async (waits: number) => {
    const world = await worldWith();
    Object.assign(world.source, { quiesces: true, waits });
    await ask(world);
    return world;
  };

  test("is looked at again and again by delayed messages, and the consistency it achieved is recorded", async () => {
    const world = await pendingWorld(3);
    world.source.achieves = { level: "filesystem", note: "No application took part." };
    const outcomes: unknown[] = [];
    for (let looks = 0; looks < 4; looks++) {
      const [message] = world.visible();
      outcomes.push(message && (await world.deliver(message)));
      expect(world.queue.pending().map(({ deliveries }) => deliveries)).toContain(0);
      world.clock.advance(minuteMs);
    }
    const waiting = { kind: "waiting", condition: "snapshots-pending" };
    expect(outcomes.slice(0, 3)).toEqual([waiting, waiting, waiting]);
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({
      state: "succeeded",
      attempt: 1,
      set: { consistency: { requested: "application", achieved: "filesystem", note: "No application took part." } },
    });
    expect(await breaches(world)).toEqual([]);
  });

  test("fails the run where it achieved less than the policy accepts, and its snapshots are removed", async () => {
    const world = await worldWith({ consistency: { wanted: "application", least: "application" } });
    Object.assign(world.source, { quiesces: true, waits: 1 });
    await ask(world);
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({ state: "failed", error: { code: "consistency-not-met" } });
    expect(world.source.attempts()).toEqual([]);
    expect(await breaches(world)).toEqual([]);
  });

  test("is not asked before its time, and by one delivery only", async () => {
    const world = await pendingWorld(1);
    const { runId } = await onlyRun(world);
    await world.drain();
    expect(await world.perform({ kind: "start-backup", runId })).toMatchObject({ kind: "late" });
    world.clock.advance(minuteMs);
    const both = [1, 2].map(() => world.perform({ kind: "start-backup", runId }));
    const kinds = (await Promise.all(both)).map(({ kind }) => kind);
    expect(kinds).toContain("late");
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({ state: "succeeded", attempt: 1 });
    expect(await breaches(world)).toEqual([]);
  });

  test("is come back to also where the message was lost", async () => {
    const world = await pendingWorld(2);
    await world.drain();
    for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
    await world.settle();
    const run = await onlyRun(world);
    expect(run).toMatchObject({ state: "succeeded", attempt: 1 });
    expect(await world.eventNames(run.runId)).toContain("messages-resent");
    expect(await breaches(world)).toEqual([]);
  });

  test("that fails in the end makes the run wait and try anew, without what the first attempt had made", async () => {
    const world = await pendingWorld(2);
    const goOn = world.source.continueSnapshot.bind(world.source);
    world.source.continueSnapshot = () => {
      world.source.continueSnapshot = goOn;
      return Promise.reject(new FarsideError("snapshot-failed", "The operation failed at its end."));
    };
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({ state: "succeeded", attempt: 2 });
    expect(await breaches(world)).toEqual([]);
  });

  test("does not keep a run from being cancelled", async () => {
    const world = await pendingWorld(30);
    const { runId } = await onlyRun(world);
    await world.drain();
    expect(await cancelRun(world.context(), { runId }, world.signal)).toMatchObject({ kind: "requested" });
    world.clock.advance(minuteMs);
    await world.drain();
    expect(await onlyRun(world)).toMatchObject({ state: "cancelled" });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A service that asks to slow down", () => {
  test("gets the time it asked for, without a delivery being spent on it", async () => {
    const world = await worldWith();
    await ask(world);
    const [start] = world.visible();
    if (start !== undefined) await world.deliver(start);
    const throttled = () => new FarsideError("throttled", "Slow down.", { retryAfterMs: 7 * minuteMs });
    for (const message of world.visible()) {
      expect(await world.deliver(message, failing("source.read", throttled))).toEqual({ kind: "continued" });
    }
    expect(world.visible()).toEqual([]);
    expect(world.queue.pending().map(({ deliveries }) => deliveries)).toEqual([0, 0]);
    expect((world.queue.pending()[0]?.visibleAtMs ?? 0) - world.clock.serviceNow()).toBe(7 * minuteMs);
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({ state: "succeeded", attempt: 1 });
  });

  test("while snapshots are taken puts the run off for as long", async () => {
    const world = await worldWith();
    await ask(world);
    const [start] = world.visible();
    const throttled = () => new FarsideError("throttled", "Slow down.", { retryAfterMs: 20 * minuteMs });
    if (start !== undefined) await world.deliver(start, failing("source.snapshot", throttled));
    expect((world.queue.pending()[0]?.visibleAtMs ?? 0) - world.clock.serviceNow()).toBe(20 * minuteMs);
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({ state: "succeeded", attempt: 2 });
  });
});

describe("A step that fails at each of its deliveries", () => {
  test("makes the run fail as poisoned, and nothing is left", async () => {
    const world = await worldWith();
    await ask(world);
    const broken = () => new FarsideError("unavailable", "No answer.");
    for (let i = 0; i < 20; i++) {
      await world.drain(() => failing("source.read", broken));
      world.clock.advance(31_000);
    }
    const run = await onlyRun(world);
    expect(run).toMatchObject({ state: "failed", error: { code: "poisoned", details: { task: "copy-window" } } });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });

  test("is left to the reconciler where even that cannot be written; the handler never throws", async () => {
    const world = await worldWith();
    const { run } = await ask(world);
    const dead = failing("catalog.runs.get", () => new FarsideError("unavailable", "No answer."));
    const task = { kind: "start-backup", runId: run.runId } as const;
    expect(await failPoisoned(world.context(dead), { task }, world.signal)).toMatchObject({ kind: "late" });
    await world.settle();
    expect(await onlyRun(world)).toMatchObject({ state: "succeeded" });
  });

  test("of a kind that repeating cannot mend ends the run at once, with that error", async () => {
    const world = await worldWith();
    await ask(world);
    await world.drain(() => failing("source.read", () => new FarsideError("forbidden", "The key was revoked.")));
    expect(await onlyRun(world)).toMatchObject({ state: "failed", error: { code: "forbidden" }, cleanUp: "done" });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A message", () => {
  test("of an attempt that is over, or of a run that has ended, does nothing", async () => {
    const world = await worldWith();
    world.source.beforeSnapshot = () => {
      world.source.beforeSnapshot = () => undefined;
      throw new Error("not the first time");
    };
    const { run } = await ask(world);
    const { runId } = run;
    await world.drain();
    const old = { kind: "copy-window", runId, attemptId: attemptId(runId, 1), window: 0 } as const;
    expect(await world.perform(old)).toMatchObject({ kind: "late" });
    await world.settle();
    const before = world.store.names();
    for (const attempt of [1, 2]) {
      const late = { runId, attemptId: attemptId(runId, attempt) };
      expect(await world.perform({ kind: "copy-window", ...late, window: 0 })).toMatchObject({ kind: "late" });
      expect(await world.perform({ kind: "commit-restore-point", ...late })).toMatchObject({ kind: "late" });
    }
    expect(await world.perform({ kind: "start-backup", runId })).toMatchObject({ kind: "late" });
    expect(world.store.names()).toEqual(before);
  });

  test("that was lost is found missing by the reconciler, at every stage", async () => {
    const world = await worldWith();
    world.limits = { ...world.limits, windowsAhead: 1 };
    await ask(world);
    for (let lost = 0; lost < 20; lost++) {
      for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
      for (let i = 0; i < 10 && world.visible().length === 0; i++) {
        world.clock.advance(2 * minuteMs);
        await world.reconcile();
      }
      const [message] = world.visible();
      if (message === undefined) break;
      await world.deliver(message);
    }
    const run = await onlyRun(world);
    expect(run).toMatchObject({ state: "succeeded" });
    expect((await world.eventNames(run.runId)).filter((name) => name === "messages-resent").length).toBeGreaterThan(3);
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A run that is cancelled", () => {
  test("while it waits or copies ends at once, and leaves nothing", async () => {
    for (const deliveries of [0, 1, 2]) {
      const world = await worldWith();
      const { run } = await ask(world);
      for (let i = 0; i < deliveries; i++) {
        const [message] = world.visible();
        if (message !== undefined) await world.deliver(message);
      }
      expect(await cancelRun(world.context(), run, world.signal)).toMatchObject({ kind: "cancelled" });
      expect(await cancelRun(world.context(), run, world.signal)).toMatchObject({ kind: "ended" });
      await world.settle();
      expect(await onlyRun(world)).toMatchObject({ state: "cancelled", error: { code: "cancelled" } });
      expect(await breaches(world)).toEqual([]);
    }
  });

  test("while its guest is frozen is asked, and ends with its next step", async () => {
    const world = await worldWith();
    const { run } = await ask(world);
    let outcome: unknown;
    world.source.beforeSnapshot = async () => {
      outcome ??= await cancelRun(world.context(), run, world.signal);
    };
    await world.drain();
    expect(outcome).toMatchObject({ kind: "requested" });
    expect(await onlyRun(world)).toMatchObject({ state: "cancelled" });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A run whose session has become too old to commit", () => {
  test("fails with that reason, by the service's clock alone", async () => {
    const world = await worldWith();
    await ask(world);
    const [start] = world.visible();
    if (start !== undefined) await world.deliver(start);
    for (const { messageId } of world.queue.pending()) world.queue.remove(messageId);
    world.clock.setWrongBy(30 * 60 * minuteMs);
    await world.reconcile();
    expect(await onlyRun(world)).toMatchObject({ state: "copying" });
    world.clock.setWrongBy(0);
    world.clock.advance(25 * 60 * minuteMs);
    await world.reconcile();
    expect(await onlyRun(world)).toMatchObject({ state: "failed", error: { code: "session-too-old" } });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});
