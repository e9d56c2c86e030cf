/** Snapshots that stay at the source for some days, for quick restores, and what ends their stay. */
import { beforeEach, expect, test } from "vitest";
import { mostInstantSets } from "../../shared/core/snapshot-removal.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import { parsePolicyName, parseVmName, type AttemptId, type PointId } from "../../shared/core/ids.ts";
import { unprotectVm } from "../../shared/operations/manage/unprotect-vm.ts";
import { writeTombstone } from "../../shared/operations/vault/write-tombstone.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { minuteMs, World } from "../support/simulation/world.ts";

const name = parseVmName("web");
const hourMs = 60 * minuteMs;

let world: World;
beforeEach(async () => {
  world = await World.create();
  world.limits = { ...world.limits, windowsAhead: 1 };
  await world.addPolicy("standard", { instantRestoreDays: 1 });
  await world.addVm("web", { disks: { os: 1024 * 1024, data: 1024 * 1024 } });
});

async function backUp(): Promise<{ readonly attemptId: AttemptId; readonly pointId: PointId }> {
  world.scribble("web", "os", 0);
  const run = await world.backUp("web");
  if (run.kind !== "backup" || run.state !== "succeeded") throw new Error(`The run ${run.state}.`);
  world.clock.advance(8 * hourMs);
  return { attemptId: run.set.attemptId, pointId: run.restorePointId };
}

async function setDays(days: number): Promise<void> {
  const stored = await world.catalog.policies.get(parsePolicyName("standard"), world.signal);
  if (stored === undefined) throw new Error("The policy is gone.");
  await world.catalog.policies.replace(stored, { ...stored.value, instantRestoreDays: days }, world.signal);
}

/** Each once; both disks have one. */
async function there(): Promise<readonly AttemptId[]> {
  await world.reconcile({ sweep: "all" });
  expect(await breaches(world)).toEqual([]);
  const attempts = world.source.attempts();
  const once = [...new Set(attempts)];
  expect(attempts).toHaveLength(2 * once.length);
  return once;
}

test("They stay for their days, and the base of the next backup longer", async () => {
  const made = [await backUp(), await backUp(), await backUp(), await backUp()].map(({ attemptId }) => attemptId);
  expect(await there()).toEqual(made.slice(2));
  world.clock.advance(100 * hourMs);
  expect(await there()).toEqual(made.slice(3));
});

test("They go at once where the policy keeps none any more, and do not come back", async () => {
  const made = [await backUp(), await backUp()].map(({ attemptId }) => attemptId);
  expect(await there()).toEqual(made);
  await setDays(0);
  expect(await there()).toEqual(made.slice(1));
  await setDays(30);
  expect(new Set(world.source.attempts())).toEqual(new Set(made.slice(1)));
});

test("Control: the checker finds one that went before its time", async () => {
  const made = await backUp();
  await backUp();
  const vm = (await world.catalog.vms.get(name, world.signal))?.value;
  if (vm === undefined) throw new Error("The VM is gone.");
  for (const { attemptId, reference } of await world.source.listSnapshots(vm, world.signal)) {
    if (attemptId === made.attemptId) await world.source.removeSnapshot(reference, world.signal);
  }
  expect(await breaches(world)).toEqual([expect.stringContaining(`attempt ${made.attemptId} went before their time`)]);
});

test("They go with their restore point, and with the protection of the VM", async () => {
  const [first, second] = [await backUp(), await backUp()];
  const expiry = { vmId: vmIdOf(name), pointId: first.pointId, reason: "A person wants it so.", held: false };
  await writeTombstone(world.vault, expiry, world.signal);
  await world.reconcile({ sweep: "all" });
  expect(new Set(world.source.attempts())).toEqual(new Set([second.attemptId]));
  await unprotectVm(world.context(), { name }, world.signal);
  expect(world.source.attempts()).toEqual([]);
});

test("A failed run leaves none, and takes none of those that stay", async () => {
  const made = await backUp();
  world.source.beforeSnapshot = (disk) => {
    if (disk === "data") throw new Error("no room");
  };
  expect(await world.backUp("web")).toMatchObject({ state: "failed" });
  expect(await there()).toEqual([made.attemptId]);
});

test("Of page blobs fewer stay than of managed disks: a premium one has 100 snapshots at most", () => {
  expect(mostInstantSets["page-blob"]).toBeLessThan(100);
  expect(mostInstantSets.managed).toBeLessThan(500);
});
