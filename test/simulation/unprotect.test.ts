import { expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseRunId, parseVmName } from "../../shared/core/ids.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import { unprotectVm } from "../../shared/operations/manage/unprotect-vm.ts";
import { claimVm } from "../../shared/operations/run/claim-vm.ts";
import { listRestorePoints } from "../../shared/operations/vault/list-restore-points.ts";
import type { DiskSource } from "../../shared/ports/disk-source.ts";
import { World } from "../support/simulation/world.ts";

const name = parseVmName("web");

async function backedUp(): Promise<World> {
  const world = await World.create();
  await world.addPolicy("standard");
  const vm = await world.addVm("web", { disks: { os: 1024 * 1024 } });
  world.scribble("web", "os", 0, 6000);
  await world.backUp("web");
  // The base of the next backup stands: else the tests below would show nothing.
  expect(await world.source.listSnapshots(vm, world.signal)).toHaveLength(1);
  return world;
}

test("Unprotecting a VM leaves no snapshot at its source, and keeps its restore points", async () => {
  const world = await backedUp();
  const vm = (await world.catalog.vms.get(name, world.signal))?.value;
  if (vm === undefined) throw new Error("The VM is not protected.");
  await unprotectVm(world.context(), { name }, world.signal);
  expect(await world.source.listSnapshots(vm, world.signal)).toEqual([]);
  expect(await world.catalog.vms.get(name, world.signal)).toBeUndefined();
  expect(await listRestorePoints(world.vault, vm.vmId, world.signal)).toHaveLength(1);
});

test("A source that does not answer keeps no VM protected, and the log tells of the snapshots left", async () => {
  const world = await backedUp();
  const events: string[] = [];
  const context = world.context();
  const log = { log: (_level: string, event: string) => void events.push(event) };
  const listSnapshots = () => Promise.reject(new FarsideError("unavailable", "The account does not answer."));
  const source = () => Object.assign(Object.create(world.source) as DiskSource, { listSnapshots });
  await unprotectVm({ ...context, log, source }, { name }, world.signal);
  expect(events).toEqual(["snapshots-left", "vm-unprotected"]);
  expect(await world.catalog.vms.get(name, world.signal)).toBeUndefined();
});

test("A source that asks to slow down is not left with the rest of many snapshots: asked again, it goes on", async () => {
  const world = await backedUp();
  const remove = world.source.removeSnapshot.bind(world.source);
  world.source.removeSnapshot = () => {
    world.source.removeSnapshot = remove;
    return Promise.reject(new FarsideError("throttled", "Slow down."));
  };
  const unprotect = () => unprotectVm(world.context(), { name }, world.signal);
  await expect(unprotect()).rejects.toMatchObject({ code: "throttled" });
  expect(await world.catalog.vms.get(name, world.signal)).toBeDefined();
  await unprotect();
  expect(world.source.attempts()).toEqual([]);
  expect(await world.catalog.vms.get(name, world.signal)).toBeUndefined();
});

test("A backup that begins while the snapshots of its VM are removed keeps it protected", async () => {
  const world = await backedUp();
  const vmId = vmIdOf(name);
  const runId = parseRunId("01ARZ3NDEKTSV4RRFFQ69G5FAV");
  const remove = world.source.removeSnapshot.bind(world.source);
  world.source.removeSnapshot = async (...args) => {
    await claimVm(world.context(), { vmId, runId, as: "backup" }, world.signal);
    return remove(...args);
  };
  await expect(unprotectVm(world.context(), { name }, world.signal)).rejects.toMatchObject({ code: "run-active" });
  expect(await world.catalog.vms.get(name, world.signal)).toBeDefined();
});
