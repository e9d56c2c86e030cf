import { describe, expect, test } from "vitest";
import { parseRunId, parseVmName } from "../../shared/core/ids.ts";
import { ulid } from "../../shared/core/ulid.ts";
import { attemptId } from "../../shared/core/ids.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { minuteMs, World } from "../support/simulation/world.ts";
import { taken } from "../support/taken.ts";

const mib = 1024 * 1024;

async function backedUp(): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard", { freezeTtlSeconds: 600 });
  await world.addVm("web", { disks: { os: mib, data: mib } });
  world.scribble("web", "os", 0);
  world.scribble("web", "data", 0);
  await world.backUp("web");
  world.clock.advance(minuteMs);
  world.scribble("web", "os", 300_000);
  world.scribble("web", "data", 300_000);
  return world;
}

/** Each breaks one thing that the system promises; a checker that stays silent proves nothing with its silence. */
describe("The checker of invariants finds", () => {
  test("nothing in a world where all is well", async () => {
    const world = await backedUp();
    await world.backUp("web");
    expect(await breaches(world)).toEqual([]);
  });

  test("a byte that was copied wrong (I1)", async () => {
    const world = await backedUp();
    const read = world.source.read.bind(world.source);
    world.source.read = async (...args) => {
      const content = await read(...args);
      content[5000] = 1 + (content[5000] ?? 0);
      return content;
    };
    world.limits = { ...world.limits, sampleChunks: 0 };
    await world.backUp("web");
    expect(await breaches(world)).toContainEqual(expect.stringMatching(/^I1: .*differs at byte/));
  });

  test("a restore point of two attempts (I2)", async () => {
    const world = await backedUp();
    const snapshot = world.source.snapshot.bind(world.source);
    world.source.snapshot = async (vm, disks, attempt, signal) => {
      const [first, ...others] = taken(await snapshot(vm, disks, attempt, signal));
      const of = { ...attempt, attemptId: attemptId(attempt.runId, 77) };
      const older = taken(await snapshot(vm, disks.slice(0, 1), of, signal));
      if (first === undefined) throw new Error("There is no disk.");
      await world.source.removeSnapshot(first.reference, signal);
      return { kind: "taken", snapshots: [...older, ...others] };
    };
    await world.backUp("web");
    expect(await breaches(world)).toContainEqual(expect.stringMatching(/^I2: .*-77, its manifest of/));
  });

  test("a restore point without one of the disks (I2)", async () => {
    const world = await backedUp();
    const snapshot = world.source.snapshot.bind(world.source);
    world.source.snapshot = async (...args) => ({ kind: "taken", snapshots: taken(await snapshot(...args)).slice(1) });
    await world.backUp("web");
    expect(await breaches(world)).toContainEqual(expect.stringMatching(/^I2: .* lacks the disk os/));
  });

  test("a chunk that is missing (I3)", async () => {
    const world = await backedUp();
    const chunk = world.store.names().find((name) => name.startsWith("chunks/"));
    if (chunk !== undefined) await world.store.remove(chunk, {}, world.signal);
    expect(await breaches(world)).toContainEqual(expect.stringMatching(/^I3: .*cannot be read/));
  });

  test("a guest that nobody thaws, where it does not do so by itself (I7)", async () => {
    const world = await backedUp();
    const guest = world.guest("web");
    guest.behaviour = "ignores-its-limit";
    guest.thaw = () => Promise.resolve({});
    await requestBackup(world.context(), { vm: parseVmName("web") }, world.signal);
    await world.settle();
    expect(await breaches(world)).toContainEqual("I7: the guest https://guest.example/web is frozen");
  });

  test("a snapshot, a work blob, a target and a message that are left over (I9)", async () => {
    const world = await backedUp();
    const [vm] = (await world.catalog.vms.list({ limit: 1 }, world.signal)).items;
    const runId = parseRunId(ulid(world.clock.now(), new Uint8Array(10)));
    if (vm === undefined) throw new Error("The VM is gone.");
    const disks = (await world.source.inspect(vm.value, world.signal)).disks;
    await world.source.snapshot(vm.value, disks, { runId, attemptId: attemptId(runId, 1) }, world.signal);
    await world.store.put(`work/${runId}/x`, new Uint8Array(1), world.signal);
    const target = { name: disks[0]?.name ?? never(), sizeBytes: 512, url: "https://target.example/c/x.vhd" };
    await world.target.prepare(target, runId, world.signal);
    await world.queue.send({ kind: "start-backup", runId }, 0, world.signal);
    const found = await breaches(world);
    expect(found).toHaveLength(5);
    expect(found.every((breach) => breach.startsWith("I9"))).toBe(true);
  });

  test("a row without a restore point, and a restore point without a row", async () => {
    const world = await backedUp();
    const [row] = (await world.catalog.restorePoints.list({ limit: 1 }, world.signal)).items;
    if (row === undefined) throw new Error("There is no row.");
    const pointId = ulid(world.clock.now(), new Uint8Array(10)) as typeof row.value.pointId;
    await world.catalog.restorePoints.insert({ ...row.value, pointId }, world.signal);
    await world.catalog.restorePoints.remove(row.value, undefined, world.signal);
    expect((await breaches(world)).filter((breach) => breach.startsWith("Rows"))).toHaveLength(2);
    // And the reconciler puts both right.
    expect(await world.reconcile({ sweep: "all" })).toMatchObject({ rowsRebuilt: 2, failures: 0 });
    expect(await breaches(world)).toEqual([]);
  });
});

describe("The reconciler", () => {
  test("seals what its writer could not, and drops a claim of the dead", async () => {
    const world = await backedUp();
    const seal = world.store.names().find((name) => name.endsWith("/seal.json"));
    if (seal !== undefined) await world.store.remove(seal, {}, world.signal);
    const [state] = (await world.catalog.vmStates.list({ limit: 1 }, world.signal)).items;
    const dead = parseRunId(ulid(world.clock.now(), new Uint8Array(10)));
    if (state !== undefined)
      await world.catalog.vmStates.replace(state, { ...state.value, activeRunId: dead }, world.signal);
    expect(await breaches(world)).toContainEqual(expect.stringMatching(/^W5/));
    expect(await world.reconcile({ sweep: "all" })).toMatchObject({ pointsSealed: 1, failures: 0 });
    expect(await breaches(world)).toEqual([]);
    const [after] = (await world.catalog.vmStates.list({ limit: 1 }, world.signal)).items;
    expect(after?.value.activeRunId).toBeUndefined();
  });

  test("finds nothing to do where all is well", async () => {
    const world = await backedUp();
    const outcome = await world.reconcile({ sweep: "all" });
    expect(Object.values(outcome).every((count) => count === 0)).toBe(true);
  });
});

function never(): never {
  throw new Error("There is none.");
}
