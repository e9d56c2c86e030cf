/** Exchanges of the disks of the VM that stands: the real adapter over a local ARM. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import type { SwapDisksTarget } from "../../../shared/core/machine-restore.ts";
import type { MachineRestore } from "../../../shared/ports/machine-target.ts";
import {
  bytesOf,
  driven,
  machineBench,
  resourcesOf,
  restoreOf,
  takenBack,
  testClock,
  withUrls,
  type MachineBench,
} from "../../support/machine-restores.ts";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";
import { addSampleMachine, type SampleMachine } from "../../support/sample-machine.ts";

const never = new AbortController().signal;
const poll = { updateIntervalInMs: 1 };

let region: ManagedRegion;
let bench: MachineBench;
let sample: SampleMachine;
let takes: (operation: string) => number;

beforeEach(async () => {
  const clock = testClock();
  takes = () => 0;
  region = await startManagedRegion({ now: () => clock.at, takes: (operation) => takes(operation) });
  bench = await machineBench(region, clock);
  sample = await addSampleMachine(region, bench.arm, "web");
  takes = (operation) => (operation.startsWith("access/begin") ? 0 : 30_000);
});
afterEach(() => region.stop());

const swap: SwapDisksTarget = { kind: "swap-disks", mayStop: true };

async function planned(target: SwapDisksTarget = swap, more: Partial<MachineRestore> = {}) {
  const restore = await restoreOf(bench, sample.vm, target, more);
  const plan = await bench.target().preflight(restore, never);
  return { restore: withUrls(restore, plan.disks), plan };
}

async function disksOfVm(): Promise<readonly (string | undefined)[]> {
  const { storageProfile } = await region.client.virtualMachines.get(group, "web");
  return [storageProfile?.osDisk, ...(storageProfile?.dataDisks ?? [])].map((disk) => disk?.managedDisk?.id);
}

async function power(): Promise<string | undefined> {
  const { statuses } = await region.client.virtualMachines.instanceView(group, "web");
  return statuses?.map(({ code }) => code).find((code) => code?.startsWith("PowerState/"));
}

async function stopVm(): Promise<void> {
  takes = () => 0;
  await region.client.virtualMachines.deallocate(group, "web", poll);
  takes = (operation) => (operation.startsWith("access/begin") ? 0 : 30_000);
}

describe("An exchange of disks", () => {
  test("stops a running VM, gives it the restored disks in their slots, starts it, and leaves the former ones detached", async () => {
    const { restore, plan } = await planned();
    await driven(bench, "prepare", restore);
    const [os] = restore.disks;
    if (os === undefined) throw new Error("There is an OS disk.");
    await bench.target().write(os, restore.runId, 0, new Uint8Array(512).fill(9), never);
    const { made } = await driven(bench, "finish", restore);
    expect(await disksOfVm()).toEqual(plan.disks);
    expect(await power()).toBe("PowerState/running");
    expect(made).toEqual(sample.vm.diskIds.map((id) => ({ kind: "detached-disk", id })));
    expect(await bytesOf(region, plan.disks[0] ?? "", 0, 512)).toEqual(new Uint8Array(512).fill(9));
    const vm = await region.client.virtualMachines.get(group, "web");
    expect(vm.storageProfile?.dataDisks?.map(({ lun, caching }) => [lun, caching])).toEqual([
      [0, "ReadOnly"],
      [1, "None"],
    ]);
    expect(vm.storageProfile?.osDisk?.osType).toBe("Linux");
    const disk = await region.client.disks.get(group, plan.disks[1]?.split("/").at(-1) ?? "");
    expect(disk).toMatchObject({ sku: { name: "Premium_LRS" }, tags: { part: "1" } });
    // Done as well where it was done before; and a VM that somebody has stopped since is left stopped.
    await stopVm();
    expect((await driven(bench, "finish", restore)).made).toEqual(made);
    expect(await power()).toBe("PowerState/deallocated");
  });

  test("leaves a VM stopped that was stopped, and disks that are not restored where they are", async () => {
    await stopVm();
    const all = await restoreOf(bench, sample.vm, { kind: "swap-disks", mayStop: false });
    const chosen = { ...all, disks: all.disks.filter(({ lun }) => lun === 1) };
    const plan = await bench.target().preflight(chosen, never);
    const restore = withUrls(chosen, plan.disks);
    await driven(bench, "prepare", restore);
    const { made } = await driven(bench, "finish", restore);
    const [os, first, second] = sample.vm.diskIds;
    expect(await disksOfVm()).toEqual([os, first, plan.disks[0]]);
    expect(made).toEqual([{ kind: "detached-disk", id: second }]);
    expect(await power()).toBe("PowerState/deallocated");
  });

  test("attaches a disk again whose slot is empty now, and takes it out again when it is taken back", async () => {
    await stopVm();
    const all = await restoreOf(bench, sample.vm, swap);
    const chosen = { ...all, disks: all.disks.filter(({ lun }) => lun === 1) };
    const { storageProfile, ...vm } = await region.client.virtualMachines.get(group, "web");
    const dataDisks = storageProfile?.dataDisks?.slice(0, 1) ?? [];
    takes = () => 0;
    await region.client.virtualMachines.createOrUpdate(
      group,
      "web",
      { ...vm, storageProfile: { ...storageProfile, dataDisks } },
      poll,
    );
    const before = await disksOfVm();
    const plan = await bench.target().preflight(chosen, never);
    expect(plan.notes.join()).toContain("nothing is attached in its place (LUN 1)");
    const restore = withUrls(chosen, plan.disks);
    await driven(bench, "prepare", restore);
    expect((await driven(bench, "finish", restore)).made).toEqual([]);
    expect(await disksOfVm()).toEqual([...before, plan.disks[0]]);
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(await disksOfVm()).toEqual(before);
  });

  test("refuses a running VM that it may not stop, and one that is gone", async () => {
    const restore = await restoreOf(bench, sample.vm, { kind: "swap-disks", mayStop: false });
    await expect(bench.target().preflight(restore, never)).rejects.toMatchObject({ code: "in-use" });
    const { resourceId: _, ...unprotected } = restore;
    await expect(bench.target().preflight(unprotected, never)).rejects.toMatchObject({ code: "not-found" });
    region.server.arm.resources.remove(sample.vm.resourceId);
    await expect(bench.target().preflight(restore, never)).rejects.toMatchObject({ code: "not-found" });
  });

  test("refuses an OS disk of another generation", async () => {
    const restore = await restoreOf(bench, sample.vm, swap);
    region.server.arm.resources.change(sample.vm.diskIds[0] ?? "", { hyperVGeneration: "V1" });
    await expect(bench.target().preflight(restore, never)).rejects.toMatchObject({
      code: "not-supported",
      message: expect.stringContaining("generation V2"),
    });
  });

  test("refuses two disks for one slot, and a disk that has moved to another one, where a third would have to go", async () => {
    const all = await restoreOf(bench, sample.vm, swap);
    const twice = { ...all, disks: all.disks.map((disk) => (disk.lun === 1 ? { ...disk, lun: 0 } : disk)) };
    await expect(bench.target().preflight(twice, never)).rejects.toMatchObject({
      code: "bad-input",
      message: expect.stringContaining("cannot both be the VM's disk at LUN 0"),
    });
    await stopVm();
    takes = () => 0;
    const { storageProfile } = await region.client.virtualMachines.get(group, "web");
    const dataDisks = (storageProfile?.dataDisks ?? []).map((slot) => ({ ...slot, lun: 1 - (slot.lun ?? 0) }));
    await region.client.virtualMachines.update(group, "web", { storageProfile: { dataDisks } }, poll);
    const one = { ...all, disks: all.disks.filter(({ lun }) => lun === 0) };
    await expect(bench.target().preflight(one, never)).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("is at LUN 1 of web now"),
    });
    // All of them go where they were.
    await bench.target().preflight(all, never);
  });

  test("does not touch a VM whose disks somebody has changed meanwhile", async () => {
    const { restore } = await planned();
    await driven(bench, "prepare", restore);
    await stopVm();
    takes = () => 0;
    const disk = { location: "westeurope", creationData: { createOption: "Empty" }, diskSizeGB: 1 } as const;
    const other = await region.client.disks.createOrUpdate(group, "other", disk, poll);
    const { storageProfile } = await region.client.virtualMachines.get(group, "web");
    const dataDisks = (storageProfile?.dataDisks ?? []).map((slot) =>
      slot.lun === 0 ? { ...slot, managedDisk: { id: other.id ?? "" } } : slot,
    );
    await region.client.virtualMachines.update(group, "web", { storageProfile: { dataDisks } }, poll);
    const before = await disksOfVm();
    await expect(driven(bench, "finish", restore)).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("prod/other is where prod/web-1 was"),
    });
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(await disksOfVm()).toEqual(before);
  });
});

/** Each call by a process that knows nothing of the one before. */
async function takenBackByMany(restore: MachineRestore): Promise<readonly string[]> {
  for (let call = 0; call < 100; call++) {
    const taken = await bench.target().takeBack(restore, never);
    if (taken.kind === "gone") return taken.left;
    bench.clock.at += 20_000;
  }
  throw new Error("takeBack does not end.");
}

describe("An exchange that fails", () => {
  const inTheMiddle = ["virtualMachines/deallocate", "virtualMachines/write", "virtualMachines/start"];
  test.each(inTheMiddle)("in its %s is put back: the VM runs on its former disks", async (operation) => {
    const before = resourcesOf(region);
    const { restore } = await planned();
    await driven(bench, "prepare", restore);
    const error = new ServiceError(409, "VMStartTimedOut", "It is not to the platform's liking.");
    const fault = region.server.arm.faults.planOperation(operation, { kind: "fails", error });
    await expect(driven(bench, "finish", restore)).rejects.toMatchObject({
      message: expect.stringContaining("not to the platform's liking"),
      advice: "give-up",
    });
    expect(fault.happened()).toBe(1);
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(await disksOfVm()).toEqual(sample.vm.diskIds);
    expect(await power()).toBe("PowerState/running");
    expect(Object.keys(resourcesOf(region))).toEqual(Object.keys(before));
  });

  test("leaves the VM as it was from each of its steps, also where each process dies after one call", async () => {
    const before = resourcesOf(region);
    const { restore } = await planned();
    for (let calls = 0; calls <= 14; calls++) {
      await driven(bench, "prepare", restore);
      let operation: string | undefined;
      for (let call = 0; call < calls; call++) {
        const progress = await bench.target().finish(restore, operation, never);
        operation = progress.kind === "waiting" ? progress.operation : undefined;
        bench.clock.at += 20_000;
      }
      expect(await takenBackByMany(restore)).toEqual([]);
      expect(await disksOfVm()).toEqual(sample.vm.diskIds);
      expect(await power()).toBe("PowerState/running");
      expect(Object.keys(resourcesOf(region))).toEqual(Object.keys(before));
    }
  });

  test("starts the VM also where another process has just asked it to stop, and it is still shown as running", async () => {
    const { restore } = await planned();
    await driven(bench, "prepare", restore);
    let operation: string | undefined;
    while ((await power()) === "PowerState/running") {
      const progress = await bench.target().finish(restore, operation, never);
      operation = progress.kind === "waiting" ? progress.operation : undefined;
      if ((await power()) === "PowerState/running") bench.clock.at += 20_000;
    }
    expect(await power()).toBe("PowerState/deallocating");
    region.server.arm.resources.change(sample.vm.resourceId, { powerState: "running" });
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    bench.clock.at += 10 * 60_000;
    expect(await power()).toBe("PowerState/running");
    expect(await disksOfVm()).toEqual(sample.vm.diskIds);
  });

  test("tells what it cannot put back: a former disk that is gone", async () => {
    const { restore, plan } = await planned();
    await driven(bench, "prepare", restore);
    await driven(bench, "finish", restore);
    region.server.arm.resources.remove(sample.vm.diskIds[1] ?? "");
    const { left } = await takenBack(bench, restore);
    expect(left.join("\n")).toMatch(/keeps the restored disks: its former disk web-1 is gone/);
    expect(await disksOfVm()).toEqual(plan.disks);
  });

  test("tells that a VM could not be started again", async () => {
    const { restore } = await planned();
    await driven(bench, "prepare", restore);
    const error = new ServiceError(409, "AllocationFailed", "There is no capacity.");
    region.server.arm.faults.planOperation("virtualMachines/start", { kind: "fails", error }, 100);
    await expect(driven(bench, "finish", restore)).rejects.toMatchObject({ code: "refused" });
    const { left } = await takenBack(bench, restore);
    expect(left.join("\n")).toContain("There is no capacity");
    expect(await disksOfVm()).toEqual(sample.vm.diskIds);
  });
});
