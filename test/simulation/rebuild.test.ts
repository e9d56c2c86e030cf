import { describe, expect, test } from "vitest";
import { parsePolicyName, parseVmName } from "../../shared/core/ids.ts";
import { manifestName } from "../../shared/core/vault/names.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import { rebuildCatalog } from "../../shared/operations/manage/rebuild-catalog.ts";
import { backUp, kib, manualClock, prose } from "../support/vault/vault-fixture.ts";
import { minuteMs, World } from "../support/simulation/world.ts";

const mib = 1024 * kib;
const vms = ["app", "db"].map(parseVmName);

/** Two VMs of one policy, each with a restore point. */
async function fleet(): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard");
  for (const vm of vms) {
    await world.addVm(vm, { disks: { os: mib } });
    world.scribble(vm, "os", 0);
    await world.backUp(vm);
    world.clock.advance(60 * minuteMs);
  }
  return world;
}

async function rowsOf(world: World) {
  const { catalog, signal } = world;
  const [policies, protectedVms, points] = await Promise.all([
    catalog.policies.list({ limit: 100 }, signal),
    catalog.vms.list({ limit: 100 }, signal),
    catalog.restorePoints.list({ limit: 100 }, signal),
  ]);
  return [policies, protectedVms, points].map(({ items }) => items.map(({ value }) => value));
}

async function loseRows(world: World): Promise<void> {
  const { catalog, signal } = world;
  for (const { value } of (await catalog.restorePoints.list({ limit: 100 }, signal)).items) {
    await catalog.restorePoints.remove(value, undefined, signal);
  }
  for (const vm of vms) await catalog.vms.remove(vm, undefined, signal);
  await catalog.policies.remove(parsePolicyName("standard"), undefined, signal);
}

describe("Making the rows anew from the vault", () => {
  test("gives the rows that were lost, once", async () => {
    const world = await fleet();
    const before = await rowsOf(world);
    await loseRows(world);
    const made = await rebuildCatalog(world.context(), {}, world.signal);
    expect(made).toEqual({
      policies: ["standard"],
      vms: ["app", "db"],
      restorePoints: 2,
      unchanged: 0,
      differing: [],
      notes: [],
    });
    expect(await rowsOf(world)).toEqual(before);
    const again = await rebuildCatalog(world.context(), {}, world.signal);
    expect(again).toMatchObject({ policies: [], vms: [], restorePoints: 0, unchanged: 5 });
  });

  test("goes on behind the VM that it is told", async () => {
    const world = await fleet();
    await loseRows(world);
    const made = await rebuildCatalog(world.context(), { after: vmIdOf(parseVmName("app")) }, world.signal);
    expect(made).toMatchObject({ policies: [], vms: ["db"], restorePoints: 1 });
  });

  test("names what it could not make: a VM whose protection was not captured, a damaged manifest", async () => {
    const world = await fleet();
    await loseRows(world);
    const vault = await world.context().vault(world.signal);
    const clock = manualClock(world.clock.now());
    const old = await backUp({ vault, clock }, "old", { os: prose("old", kib) });
    clock.advance(minuteMs);
    const bad = await backUp({ vault, clock }, "old", { os: prose("bad", kib) });
    await vault.store.remove(manifestName(bad.vmId, bad.pointId), {}, world.signal);
    await vault.store.create(manifestName(bad.vmId, bad.pointId), Buffer.from("{}"), world.signal);
    const made = await rebuildCatalog(world.context(), {}, world.signal);
    expect(made).toMatchObject({ vms: ["app", "db"], restorePoints: 3 });
    expect(made.notes.map(({ note }) => note)).toEqual([
      expect.stringContaining(`The manifest of ${bad.pointId} is damaged`),
      expect.stringContaining(`was not captured in its newest restore point ${old.pointId}: protect it again`),
    ]);
  });
});
