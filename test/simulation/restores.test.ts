import { describe, expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseDiskName, parsePointId, parseVmName } from "../../shared/core/ids.ts";
import { addMs, timestamp } from "../../shared/core/timestamp.ts";
import { ulid } from "../../shared/core/ulid.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import type { PointChoice, RestoreRequest } from "../../shared/operations/request-restore.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { Stall } from "../support/simulation/stall.ts";
import { minuteMs } from "../support/simulation/world.ts";
import { ask, diskNamed, mib, pointsOf, targetUrl, to, twoPoints } from "../support/simulation/two-points.ts";

describe("A restore", () => {
  test("works from the vault alone: nobody protects the VM any more, and its rows are gone", async () => {
    const world = await twoPoints();
    await world.catalog.vms.remove(parseVmName("Web.01"), undefined, world.signal);
    for (const { vmId, pointId } of await pointsOf(world)) {
      await world.catalog.restorePoints.remove({ vmId, pointId }, undefined, world.signal);
    }
    for (const [i, vm] of ["Web.01", "web.01", vmIdOf(parseVmName("Web.01"))].entries()) {
      expect((await ask(world, { vm, target: to(`${targetUrl}-${i}`) })).run).toMatchObject({ vm: "Web.01" });
    }
    await world.settle();
    expect((await world.runs()).filter((run) => run.kind === "restore").map((run) => run.state)).toEqual([
      "succeeded",
      "succeeded",
      "succeeded",
    ]);
    expect((await breaches(world)).filter((breach) => breach.startsWith("I1"))).toEqual([]);
  });

  test("takes the point that was asked for: by id, by time, the latest", async () => {
    const world = await twoPoints();
    const [first, second] = await pointsOf(world);
    if (first === undefined || second === undefined) throw new Error("There are no two points.");
    const choices: readonly (readonly [PointChoice, string])[] = [
      [{ kind: "latest" }, second.pointId],
      [{ kind: "point", pointId: first.pointId }, first.pointId],
      [{ kind: "at", at: second.snapshotAt }, second.pointId],
      [{ kind: "at", at: addMs(second.snapshotAt, -1) }, first.pointId],
    ];
    for (const [i, [point, expected]] of choices.entries()) {
      const { run } = await ask(world, { point, target: to(`${targetUrl}-${i}`) });
      expect(run.pointId).toBe(expected);
    }
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });

  test("of one disk makes that disk only", async () => {
    const world = await twoPoints();
    await ask(world, { disks: [diskNamed("data")] });
    await world.settle();
    expect(world.target.finished(`${targetUrl}/data.vhd`)).toBeDefined();
    expect(world.target.finished(`${targetUrl}/os.vhd`)).toBeUndefined();
  });

  test("that cannot be is refused before anything is made", async () => {
    const world = await twoPoints();
    world.target.occupy(`${targetUrl}/data.vhd`, mib);
    const [first] = await pointsOf(world);
    const none = parsePointId(ulid(0, new Uint8Array(10)));
    const refusals: readonly (readonly [Partial<RestoreRequest>, string])[] = [
      [{ vm: "nobody" }, "not-found"],
      [{ point: { kind: "point", pointId: none } }, "not-found"],
      [{ point: { kind: "at", at: addMs(first?.snapshotAt ?? timestamp(0), -1) } }, "not-found"],
      [{ disks: [diskNamed("tape")] }, "not-found"],
      [{ disks: [diskNamed("data"), diskNamed("data")] }, "bad-input"],
      [{ target: to("https://elsewhere.example/x") }, "bad-input"],
      [{}, "target-exists"],
    ];
    const runs = (await world.runs()).length;
    for (const [request, code] of refusals) await expect(ask(world, request)).rejects.toMatchObject({ code });
    expect(await world.runs()).toHaveLength(runs);
    expect(world.queue.pending()).toEqual([]);
    expect(world.target.unfinished()).toEqual([]);
  });

  test("into the vault's own container is refused, whatever is accepted", async () => {
    const world = await twoPoints();
    Object.assign(world.store, { location: targetUrl });
    for (const target of [to(targetUrl), { ...to(targetUrl), overwrite: true } as const]) {
      await expect(ask(world, { target })).rejects.toMatchObject({ code: "refused" });
    }
    await ask(world, { target: to(`${targetUrl}-2`) });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });

  test("whose target is taken after it was asked for fails, and leaves that target alone", async () => {
    const world = await twoPoints();
    const { run } = await ask(world);
    world.target.occupy(`${targetUrl}/data.vhd`, mib);
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "failed", error: { code: "target-exists" } });
    expect(world.target.finished(`${targetUrl}/data.vhd`)).toBeDefined();
    expect(await breaches(world)).toEqual([]);
  });

  test("with the same key is the same run", async () => {
    const world = await twoPoints();
    const first = await ask(world, { idempotencyKey: "one" });
    expect(await ask(world, { idempotencyKey: "one" })).toMatchObject({
      kind: "repeated",
      run: { runId: first.run.runId },
    });
    await world.settle();
    expect(await ask(world, { idempotencyKey: "one" })).toMatchObject({
      kind: "repeated",
      run: { state: "succeeded" },
    });
  });

  test("goes on where it stood when a step runs out of its time", async () => {
    const world = await twoPoints();
    for (let at = 0; at < 250; at += 5) world.scribble("Web.01", "os", at * mib);
    await world.backUp("Web.01");
    world.limits = { ...world.limits, stepBudgetMs: 20_000, chunksAtOnce: 2 };
    await ask(world);
    const slow = { before: () => Promise.resolve(), after: () => Promise.resolve(world.clock.advance(1500)) };
    const outcomes: unknown[] = [];
    for (let next = world.visible()[0]; next !== undefined; next = world.visible()[0]) {
      outcomes.push(await world.deliver(next, new Process({ kind: "lives" }, slow)));
    }
    expect(outcomes).toContainEqual({ kind: "continued" });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A restore that may overwrite, whose first step comes back after its end", () => {
  async function zombie(phase: "before" | "after") {
    const world = await twoPoints();
    for (const disk of ["os", "data"]) world.target.occupy(`${targetUrl}/${disk}.vhd`, mib);
    const { run } = await ask(world, { target: { ...to(targetUrl), overwrite: true } });
    const stall = new Stall(phase, "target.replace");
    const process = new Process({ kind: "lives" }, stall);
    const step = world.perform({ kind: "start-restore", runId: run.runId }, process).catch(String);
    await stall.asleep;
    await cancelRun(world.context(), run, world.signal);
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "cancelled", cleanUp: "done" });
    return { world, run, process, step, stall };
  }

  test("replaces no further disk: it could die before it has put that back", async () => {
    const { world, process, step, stall } = await zombie("after");
    stall.wake();
    await step;
    expect(process.calls.filter((call) => call === "target.replace")).toHaveLength(1);
    expect(await breaches(world)).toEqual([]);
  });

  test("puts back what it has replaced, also where its next call fails", async () => {
    const { world, process, step, stall, run } = await zombie("before");
    const get = world.catalog.runs.get.bind(world.catalog.runs);
    let failures = 1;
    world.catalog.runs.get = async (...args) => {
      if (failures-- > 0) throw new FarsideError("unavailable", "The service did not answer.");
      return get(...args);
    };
    stall.wake();
    expect(await step).toMatch(/did not answer/);
    expect(process.calls.filter((call) => call === "target.replace")).toHaveLength(1);
    // The queue delivers it again.
    await world.perform({ kind: "start-restore", runId: run.runId });
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A restore of disks of several restore points", () => {
  test("is refused, unless the mix is said to be meant; then each disk is of its own point", async () => {
    const world = await twoPoints();
    const [first, second] = await pointsOf(world);
    if (first === undefined || second === undefined) throw new Error("There are no two points.");
    const disks = [{ name: parseDiskName("os"), pointId: first.pointId }, diskNamed("data")];
    await expect(ask(world, { disks })).rejects.toMatchObject({ code: "refused" });
    const { run } = await ask(world, { disks, acceptMixedPoints: true });
    expect(run.disks.map(({ pointId }) => pointId)).toEqual([first.pointId, second.pointId]);
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "succeeded" });
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A restore that failed after somebody has begun to use its disk", () => {
  test("leaves that disk alone, comes to its end, and says what is left", async () => {
    const world = await twoPoints();
    const { run } = await ask(world);
    for (let next = world.visible()[0]; next?.kind !== "finish-restore"; next = world.visible()[0]) {
      if (next === undefined) throw new Error("There is no end.");
      await world.deliver(next);
    }
    const finish = world.target.finish.bind(world.target);
    world.target.finish = async (disk, runId, signal) => {
      if (disk.name === "os") {
        world.target.remove(`${targetUrl}/data.vhd`);
        world.target.inUse.add(disk.url);
      }
      return finish(disk, runId, signal);
    };
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "failed", cleanUp: "done" });
    expect(world.target.finished(`${targetUrl}/os.vhd`)).toBeDefined();
    expect(await world.eventNames(run.runId)).toContain("target-left");
  });
});

describe("An idempotency key", () => {
  test("stands for one request: with another point, target or disk it is refused, and nothing is made", async () => {
    const world = await twoPoints();
    const [first] = await pointsOf(world);
    if (first === undefined) throw new Error("There is no point.");
    await ask(world, { idempotencyKey: "one" });
    const runs = (await world.runs()).length;
    const others: readonly Partial<RestoreRequest>[] = [
      { point: { kind: "point", pointId: first.pointId } },
      { target: to(`${targetUrl}-2`) },
      { target: { ...to(targetUrl), overwrite: true } },
      { disks: [diskNamed("data")] },
    ];
    for (const other of others) {
      await expect(ask(world, { ...other, idempotencyKey: "one" })).rejects.toMatchObject({ code: "already-exists" });
    }
    expect(await world.runs()).toHaveLength(runs);
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});

describe("Many requests at once with one key", () => {
  test.each([to(targetUrl), { ...to(targetUrl), overwrite: true }, { kind: "revert" }] as const)(
    "are one run: %j",
    async (target) => {
      const world = await twoPoints();
      world.source.powerState = "stopped";
      world.guest("Web.01").behaviour = "dead";
      const asked = await Promise.all(
        Array.from({ length: 8 }, async () => ask(world, { target, idempotencyKey: "one" })),
      );
      expect(new Set(asked.map(({ run }) => run.runId)).size).toBe(1);
      await world.settle();
      // One that was late by all the run's life.
      await ask(world, { target, idempotencyKey: "one" });
      await world.settle();
      const restores = (await world.runs()).filter(({ kind }) => kind === "restore");
      expect(restores).toMatchObject([{ runId: asked[0]?.run.runId, state: "succeeded" }]);
      expect(await breaches(world)).toEqual([]);
    },
  );
});

describe("A restore that comes to no end", () => {
  test("fails after its days, and leaves nothing", async () => {
    const world = await twoPoints();
    const { run } = await ask(world);
    const busy = new Process(
      { kind: "lives" },
      {
        before: (call) => {
          if (call !== "target.write") return Promise.resolve();
          throw new FarsideError("throttled", "The service is busy.", { retryAfterMs: 6 * 3_600_000 });
        },
        after: () => Promise.resolve(),
      },
    );
    for (let hours = 0; hours < 8 * 24; hours += 6) {
      await world.drain(() => busy);
      await world.reconcile();
      world.clock.advance(6 * 60 * minuteMs);
    }
    expect(await world.run(run.runId)).toMatchObject({ state: "failed", error: { code: "deadline-passed" } });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });
});
