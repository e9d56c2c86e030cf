import { describe, expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import type { BackupRun, Run } from "../../shared/core/run.ts";
import { parseVmName } from "../../shared/core/ids.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { newestRestorePoint } from "../../shared/operations/vault/list-restore-points.ts";
import { breaches, restoredImage } from "../support/simulation/invariants.ts";
import { consistencyOf, diskUrl, minuteMs, World } from "../support/simulation/world.ts";
import { readImage } from "../../shared/adapters/memory/sparse-image.ts";

const mib = 1024 * 1024;
const three = { os: mib, data: mib, log: mib };

async function worldWith(policy: Parameters<World["addPolicy"]>[1] = {}): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard", policy);
  await world.addVm("web", { disks: three });
  for (const disk of Object.keys(three)) world.scribble("web", disk, 0);
  return world;
}

function backupOf(run: Run): BackupRun {
  if (run.kind !== "backup") throw new Error(`The run ${run.runId} is a ${run.kind}.`);
  return run;
}

async function begin(world: World): Promise<BackupRun> {
  return (await requestBackup(world.context(), { vm: parseVmName("web") }, world.signal)).run;
}

describe("A snapshot that fails on the second of three disks", () => {
  test("leaves none behind, and the run comes to its end with a later attempt", async () => {
    const world = await worldWith();
    let failures = 0;
    world.source.beforeSnapshot = (disk) => {
      if (disk === "data" && failures++ === 0) throw new Error("no room for it");
    };
    await begin(world);
    await world.drain();
    expect(world.source.attempts()).toEqual([]);
    expect(world.guest("web").isFrozen).toBe(false);
    const [waiting] = await world.runs();
    expect(waiting).toMatchObject({ state: "queued", attempt: 1, waiting: { condition: "snapshot-failed", tries: 1 } });
    await world.settle();
    expect(await world.runs()).toMatchObject([{ state: "succeeded", attempt: 2 }]);
    expect(await breaches(world)).toEqual([]);
  });

  test("for as long as the retry window lasts makes the run fail with that, and nothing is left", async () => {
    const world = await worldWith({ retryWindowSeconds: 300 });
    world.source.beforeSnapshot = (disk) => {
      if (disk === "data") throw new Error("no room for it");
    };
    const run = await world.backUp("web");
    expect(run).toMatchObject({ state: "failed", error: { code: "snapshot-failed" } });
    expect(backupOf(run).attempt).toBeGreaterThan(2);
    expect(await breaches(world)).toEqual([]);
  });
});

describe("A guest", () => {
  test("that answers is frozen around the snapshots, and the point says how well", async () => {
    const world = await worldWith();
    world.guest("web").level = "filesystem";
    const run = await world.backUp("web");
    expect(run).toMatchObject({ set: { consistency: { requested: "application", achieved: "filesystem" } } });
    expect(backupOf(run)).toHaveProperty("set.consistency.frozenAt");
    expect(backupOf(run)).toHaveProperty("set.consistency.thawedAt");
  });

  test.each(["dead", "freezes-and-hangs", "thaws-early"] as const)(
    "that is %s gets three tries; then the point is crash-consistent and says so",
    async (behaviour) => {
      const world = await worldWith();
      world.guest("web").behaviour = behaviour;
      const run = await world.backUp("web");
      expect(run).toMatchObject({ state: "succeeded", attempt: 4, set: { consistency: { achieved: "crash" } } });
      expect(run).toHaveProperty("set.consistency.note", "The guest could not be frozen in several tries.");
      expect(await breaches(world)).toEqual([]);
    },
  );

  test.each(["dead", "thaws-early"] as const)(
    "that is %s makes the run fail where the policy accepts no less, after its retry window",
    async (behaviour) => {
      const world = await worldWith(consistencyOf("application", "filesystem"));
      world.guest("web").behaviour = behaviour;
      const begun = world.clock.now();
      const run = await world.backUp("web");
      expect(run).toMatchObject({ state: "failed", error: { code: "consistency-not-met" } });
      expect(world.clock.now() - begun).toBeGreaterThan(40 * minuteMs);
      expect(await breaches(world)).toEqual([]);
    },
  );

  test("whose freeze is shorter than the snapshots take is not believed", async () => {
    const world = await worldWith({ freezeTtlSeconds: 10 });
    world.guest("web").behaviour = "ignores-its-limit";
    world.source.beforeSnapshot = () => world.clock.advance(4000);
    const run = await world.backUp("web");
    expect(run).toMatchObject({ state: "succeeded", set: { consistency: { achieved: "crash" } } });
    expect(await breaches(world)).toEqual([]);
  });

  test("that cannot be thawed by the step is thawed by the reconciler", async () => {
    const world = await worldWith({ freezeTtlSeconds: 600 });
    const guest = world.guest("web");
    guest.behaviour = "ignores-its-limit";
    const thaw = guest.thaw.bind(guest);
    guest.thaw = () => Promise.reject(new Error("no answer"));
    await begin(world);
    const [message] = world.visible();
    if (message !== undefined) await world.deliver(message);
    expect(guest.isFrozen).toBe(true);
    expect((await world.runs())[0]).toHaveProperty("freeze.ttlSeconds", 600);
    guest.thaw = thaw;
    await world.reconcile();
    expect(guest.isFrozen).toBe(false);
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });

  test.each(["copied at once", "put back"] as const)(
    "that cannot be thawed by the step is thawed all the same where the run is %s",
    async (course) => {
      const world = await worldWith({ freezeTtlSeconds: 600 });
      const guest = world.guest("web");
      guest.behaviour = "ignores-its-limit";
      const thaw = guest.thaw.bind(guest);
      guest.thaw = () => Promise.reject(new FarsideError("guest-failed", "no answer"));
      if (course === "put back") {
        world.source.beforeSnapshot = () => {
          throw new Error("no room for it");
        };
      }
      await begin(world);
      await world.drain();
      expect(await world.runs()).toMatchObject([{ state: course === "put back" ? "queued" : "succeeded" }]);
      expect(guest.isFrozen).toBe(true);
      guest.thaw = thaw;
      await world.reconcile();
      expect(guest.isFrozen).toBe(false);
      world.source.beforeSnapshot = () => undefined;
      await world.settle();
      expect(await breaches(world)).toEqual([]);
    },
  );

  test("that an attempt left frozen is thawed by the next one, under the token that froze it", async () => {
    const world = await worldWith({ freezeTtlSeconds: 600, ...consistencyOf("application", "application") });
    const guest = world.guest("web");
    guest.behaviour = "ignores-its-limit";
    const thaw = guest.thaw.bind(guest);
    guest.thaw = () => Promise.reject(new FarsideError("guest-failed", "no answer"));
    const state = guest.state.bind(guest);
    guest.state = () => Promise.reject(new FarsideError("guest-failed", "no answer"));
    await begin(world);
    await world.drain();
    guest.thaw = thaw;
    guest.state = state;
    world.clock.advance(minuteMs);
    await world.drain();
    expect(await world.runs()).toMatchObject([
      { state: "succeeded", attempt: 2, set: { consistency: { achieved: "application" } } },
    ]);
    expect(guest.isFrozen).toBe(false);
  });

  test("of a stopped VM is not asked, and one of a VM that starts meanwhile gives no better than crash", async () => {
    const world = await worldWith();
    world.source.powerState = "stopped";
    const run = await world.backUp("web");
    expect(run).toMatchObject({ set: { consistency: { achieved: "filesystem" } } });
    expect(world.guest("web").freezes).toBe(0);
    world.source.beforeSnapshot = () => {
      world.source.powerState = "running";
    };
    world.clock.advance(minuteMs);
    expect(await world.backUp("web")).toMatchObject({
      set: { consistency: { achieved: "crash", note: "The VM was started while its snapshots were taken." } },
    });
  });

  test("that nobody knows makes a policy fail at once that accepts no less, without a snapshot", async () => {
    const world = await World.create();
    await world.addPolicy("standard", consistencyOf("application", "filesystem"));
    await world.addVm("web", { disks: three, guest: false });
    let snapshots = 0;
    world.source.beforeSnapshot = () => void snapshots++;
    const run = await world.backUp("web");
    expect(run).toMatchObject({ state: "failed", attempt: 1, error: { code: "consistency-not-met" } });
    expect(snapshots).toBe(0);
  });
});

describe("The stripe: numbers written across all disks while the snapshots are taken", () => {
  async function stripe(wanted: "application" | "crash"): Promise<{ torn: number; runs: readonly Run[] }> {
    const world = await worldWith(consistencyOf(wanted, "crash"));
    let number = 0;
    const write = (): void => {
      if (world.guest("web").isFrozen) return;
      number++;
      for (const disk of Object.keys(three)) {
        world.source.write(diskUrl("web", disk), 8192, new Uint8Array(new Uint32Array([number]).buffer));
      }
    };
    world.source.skewMs = 7;
    world.source.beforeSnapshot = write;
    let torn = 0;
    for (let i = 0; i < 20; i++) {
      await world.backUp("web");
      world.clock.advance(minuteMs);
      const point = await newestRestorePoint(world.vault, (await world.runs())[0]?.vmId ?? fail(), world.signal);
      const numbers = new Set<string>();
      for (const disk of point?.manifest.disks ?? []) {
        numbers.add(String(readImage(await restoredImage(world, disk), 8192, 4)));
      }
      if (numbers.size !== 1) torn++;
    }
    return { torn, runs: await world.runs() };
  }

  test("are always of one instant with freezing", async () => {
    const { torn, runs } = await stripe("application");
    expect(torn).toBe(0);
    for (const run of runs) expect(run).toMatchObject({ set: { consistency: { achieved: "application" } } });
  });

  test("are torn without it (the control), and those points say crash and show their skew", async () => {
    const { torn, runs } = await stripe("crash");
    expect(torn).toBe(20);
    for (const run of runs) expect(run).toMatchObject({ set: { consistency: { achieved: "crash", skewMs: 14 } } });
  });
});

function fail(): never {
  throw new Error("There is none.");
}
