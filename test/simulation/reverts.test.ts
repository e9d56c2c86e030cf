import { describe, expect, test } from "vitest";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseVmName } from "../../shared/core/ids.ts";
import type { BackupRun, SnapshotSet } from "../../shared/core/run.ts";
import { cancelRun } from "../../shared/operations/cancel-run.ts";
import { protectVm } from "../../shared/operations/manage/protect-vm.ts";
import { unprotectVm } from "../../shared/operations/manage/unprotect-vm.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { breaches } from "../support/simulation/invariants.ts";
import { Process } from "../support/simulation/process.ts";
import { Stall } from "../support/simulation/stall.ts";
import { diskUrl, minuteMs, type World } from "../support/simulation/world.ts";
import { ask, diskNamed, mib, twoPoints } from "../support/simulation/two-points.ts";

describe("A revert", () => {
  const inPlace = { kind: "revert" } as const;
  async function stopped(): Promise<World> {
    const world = await twoPoints();
    world.source.powerState = "stopped";
    world.guest("Web.01").behaviour = "dead";
    world.scribble("Web.01", "os", 5 * mib);
    return world;
  }

  test("is refused while the VM runs: its settings say so, its guest answers, or a machine holds a disk", async () => {
    const world = await stopped();
    world.source.powerState = "running";
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "refused" });
    world.source.powerState = "unknown";
    world.guest("Web.01").behaviour = "well";
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "refused" });
    const guest = world.guest("Web.01");
    guest.behaviour = "dead";
    const state = guest.state.bind(guest);
    const answers = (status: number) => async () => {
      throw new FarsideError("guest-failed", `It answered ${status}.`, { details: { status } });
    };
    guest.state = answers(500);
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "refused" });
    // A gateway in front of it, which is not the guest.
    guest.state = answers(502);
    const url = diskUrl("Web.01", "data");
    world.reverter.holders.set(url, "machine");
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "refused" });
    world.reverter.holders.delete(url);
    await ask(world, { target: inPlace });
    guest.state = state;
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });

  test("is refused for a disk that is another one by now, has another size, or is gone from the VM", async () => {
    const world = await stopped();
    const url = diskUrl("Web.01", "data");
    world.source.resizeDisk(url, 2 * mib);
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "refused" });
    world.source.addDisk(url, mib);
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "refused" });
    // The other disk can still go back.
    await ask(world, { target: inPlace, disks: [diskNamed("os")] });
    await world.settle();
    await world.catalog.vms.remove(parseVmName("Web.01"), undefined, world.signal);
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "refused" });
    expect(world.reverter.kept()).toHaveLength(1);
  });

  test("has the VM to itself, both ways", async () => {
    const world = await stopped();
    const backup = (vm = "Web.01") => requestBackup(world.context(), { vm: parseVmName(vm) }, world.signal);
    const { run } = await ask(world, { target: inPlace });
    await expect(backup()).rejects.toMatchObject({ code: "run-active", details: { runId: run.runId } });
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "run-active" });
    await world.settle();
    await backup();
    await expect(ask(world, { target: inPlace })).rejects.toMatchObject({ code: "run-active" });
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });

  test("whose step comes back after its run has ended writes nothing: the disk may be somebody's again", async () => {
    const world = await stopped();
    const { run } = await ask(world, { target: inPlace });
    for (let next = world.visible()[0]; next?.kind === "start-restore"; next = world.visible()[0]) {
      await world.deliver(next);
    }
    const stall = new Stall("before", "reverter.clear");
    const zombie = world.perform(
      { kind: "restore-window", runId: run.runId, window: 0 },
      new Process({ kind: "lives" }, stall),
    );
    await stall.asleep;
    await cancelRun(world.context(), run, world.signal);
    const before = world.source.image(diskUrl("Web.01", "os"));
    stall.wake();
    await zombie;
    expect(world.source.image(diskUrl("Web.01", "os"))).toBe(before);
    await world.settle();
    expect(await breaches(world)).toEqual([]);
  });

  test("whose first step comes back after its run has ended and dies holding the disks does not keep them", async () => {
    const world = await stopped();
    const { run } = await ask(world, { target: inPlace });
    const start = { kind: "start-restore", runId: run.runId } as const;
    const stall = new Stall("before", "reverter.hold");
    const dying = new Process({ kind: "lives" }, stall);
    const zombie = world.perform(start, dying).catch(() => "died");
    await stall.asleep;
    await cancelRun(world.context(), run, world.signal);
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ state: "cancelled", cleanUp: "done" });
    // Its call takes effect, and it hears of it no more.
    const disk = run.disks[0];
    if (disk === undefined) throw new Error("The run has no disk.");
    dying.dead = true;
    stall.wake();
    await zombie;
    await world.reverter.hold(disk, run.runId, world.signal);
    expect(await breaches(world)).not.toEqual([]);
    await world.reconcile({ sweep: "all" });
    expect(await breaches(world)).toEqual([]);
  });

  test("whose step takes hold after its end is found also when a backup or another revert has come since", async () => {
    const world = await stopped();
    const { run } = await ask(world, { target: inPlace });
    await world.settle();
    await ask(world, { target: inPlace, disks: [diskNamed("data")] });
    await world.settle();
    await world.backUp("Web.01");
    for (const disk of run.disks) await world.reverter.hold(disk, run.runId, world.signal);
    await world.reconcile({ sweep: "all" });
    expect([...world.reverter.holders]).toEqual([]);
    expect(await breaches(world)).toEqual([]);
  });

  test("whose row is lost half-way does not hold the disks for ever, and its safety snapshots stay", async () => {
    const world = await stopped();
    const { run } = await ask(world, { target: inPlace });
    for (let next = world.visible()[0]; next?.kind === "start-restore"; next = world.visible()[0]) {
      await world.deliver(next);
    }
    expect([...world.reverter.holders]).toHaveLength(2);
    await world.catalog.runs.remove(run.runId, undefined, world.signal);
    await world.settle();
    expect([...world.reverter.holders]).toEqual([]);
    expect(world.reverter.kept()).toHaveLength(2);
  });

  test("is forgotten a day after its end: the VM's sweep asks for its disks no more", async () => {
    const world = await stopped();
    await ask(world, { target: inPlace });
    await world.settle();
    const calls = async () => {
      const process = new Process();
      await world.reconcile({ sweep: "all" }, process);
      return process.calls.filter((call) => call.startsWith("reverter."));
    };
    expect(await calls()).not.toEqual([]);
    world.clock.advance(25 * 60 * minuteMs);
    await calls();
    expect(await calls()).toEqual([]);
  });

  test("that left its VM's disks held lets them go where the VM is not to be protected any more", async () => {
    const world = await stopped();
    const { run } = await ask(world, { target: inPlace });
    await world.settle();
    for (const disk of run.disks) await world.reverter.hold(disk, run.runId, world.signal);
    await unprotectVm(world.context(), { name: parseVmName("Web.01") }, world.signal);
    expect([...world.reverter.holders]).toEqual([]);
  });

  test("that stopped half-way is told by every backup, until a revert of its disks or a person has put them right", async () => {
    const world = await stopped();
    const backUp = async () => (await world.backUp("Web.01")) as BackupRun & { readonly set: SnapshotSet };
    const half = { achieved: "crash", note: expect.stringContaining("two times") };
    const stopHalfWay = async (): Promise<void> => {
      const { run } = await ask(world, { target: inPlace });
      for (let next = world.visible()[0]; next?.kind === "start-restore"; next = world.visible()[0]) {
        await world.deliver(next);
      }
      await cancelRun(world.context(), run, world.signal);
      await world.settle();
      expect(await world.run(run.runId)).toMatchObject({
        state: "cancelled",
        error: { message: expect.stringContaining(run.pointId) },
      });
    };
    expect((await backUp()).set.consistency).toMatchObject({ achieved: "filesystem" });
    await stopHalfWay();
    expect((await backUp()).set.consistency).toMatchObject(half);
    await ask(world, { target: inPlace, disks: [diskNamed("data")] });
    await world.settle();
    expect((await backUp()).set.consistency).toMatchObject(half);
    await ask(world, { target: inPlace });
    await world.settle();
    expect((await backUp()).set.consistency).toMatchObject({ achieved: "filesystem" });

    await stopHalfWay();
    expect((await backUp()).set.consistency).toMatchObject(half);
    const vm = (await world.catalog.vms.get(parseVmName("Web.01"), world.signal))?.value;
    if (vm === undefined) throw new Error("The VM is gone.");
    await protectVm(world.context(), vm, world.signal);
    expect((await backUp()).set.consistency).toMatchObject({ achieved: "filesystem" });
    expect(await breaches(world)).toEqual([]);
  });

  test("counts what it wrote, page by page, and a second one finds nothing to write", async () => {
    const world = await stopped();
    world.source.clear(diskUrl("Web.01", "data"), 0, 4096);
    world.scribble("Web.01", "data", 500_000, 100);
    const { run } = await ask(world, { target: inPlace });
    await world.settle();
    expect(await world.run(run.runId)).toMatchObject({ disks: [{ writtenBytes: 4096 }, { writtenBytes: 8192 }] });
    const again = await ask(world, { target: inPlace });
    await world.settle();
    expect(await world.run(again.run.runId)).toMatchObject({ disks: [{ writtenBytes: 0 }, { writtenBytes: 0 }] });
  });
});
