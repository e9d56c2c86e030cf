import { describe, expect, test } from "vitest";
import { parseDiskName, parsePointId, parseVmName } from "../../shared/core/ids.ts";
import { addMs, timestamp } from "../../shared/core/timestamp.ts";
import { ulid } from "../../shared/core/ulid.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import { requestRestore, type PointChoice, type RestoreRequest } from "../../shared/operations/request-restore.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { consistencyOf, minuteMs, World } from "../support/simulation/world.ts";

const mib = 1024 * 1024;
const diskNamed = (name: string) => ({ name: parseDiskName(name) });
const targetUrl = "https://target.example/back";
const to = (url: string) => ({ kind: "container", url }) as const;

async function twoPoints(settings = {}, policy = {}): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard", policy);
  await world.addVm("Web.01", { disks: { os: 600 * mib, data: mib }, settings });
  for (let point = 0; point < 2; point++) {
    world.scribble("Web.01", "os", point * 300 * mib, 10_000);
    world.scribble("Web.01", "data", 0);
    await world.backUp("Web.01");
    world.clock.advance(60 * minuteMs);
  }
  return world;
}

function ask(world: World, request: Partial<RestoreRequest> = {}) {
  const whole = { vm: "Web.01", point: { kind: "latest" }, target: to(targetUrl), ...request } as const;
  return requestRestore(world.context(), whole, world.signal);
}

async function pointsOf(world: World) {
  const rows = await world.catalog.restorePoints.list({ limit: 10 }, world.signal);
  return rows.items.map(({ value }) => value).sort((a, b) => (a.pointId < b.pointId ? -1 : 1));
}

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

describe("A domain controller of Windows Server 2008 R2 that was backed up without VSS", () => {
  const settings = { role: "domain-controller", osType: "windows", osVersion: "2008 R2" } as const;

  test("is marked, and restored only by somebody who accepts the risk", async () => {
    const world = await twoPoints(settings, consistencyOf("crash", "crash"));
    const [point] = await pointsOf(world);
    expect(point?.safety).toMatchObject({ usnRollbackRisk: true });
    await expect(ask(world)).rejects.toMatchObject({ code: "refused" });
    const { run } = await ask(world, { acceptUsnRollbackRisk: true });
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "succeeded" });
  });

  test("is not backed up at all where the policy says so, and no snapshot stays", async () => {
    const world = await World.create();
    await world.addPolicy("standard", { ...consistencyOf("crash", "crash"), usnRollback: "fail" });
    await world.addVm("dc", { disks: { os: mib }, settings });
    expect(await world.backUp("dc")).toMatchObject({ state: "failed", attempt: 1, error: { code: "refused" } });
    expect(await breaches(world)).toEqual([]);
  });

  test("is not marked when VSS froze it", async () => {
    const world = await twoPoints(settings);
    expect((await pointsOf(world)).map((point) => point.safety)).toEqual([
      { usnRollbackRisk: false },
      { usnRollbackRisk: false },
    ]);
  });
});
