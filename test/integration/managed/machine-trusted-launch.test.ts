/** Restores of trusted-launch VMs: the state of their virtual TPM and firmware goes with the OS disk, or they are refused. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { MachineTargetSpec } from "../../../shared/core/machine-restore.ts";
import type { MachineRestore } from "../../../shared/ports/machine-target.ts";
import {
  driven,
  groupId,
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

let region: ManagedRegion;
let bench: MachineBench;
let sample: SampleMachine;

beforeEach(async () => {
  const clock = testClock();
  region = await startManagedRegion({ now: () => clock.at });
  bench = await machineBench(region, clock);
  sample = await addSampleMachine(region, bench.arm, "web", { securityType: "TrustedLaunch" });
  // What was begun ends with the next request.
  await region.client.virtualMachines.get(group, "web");
});
afterEach(() => region.stop());

const toDisks: MachineTargetSpec = {
  kind: "managed-disks",
  resourceGroup: groupId(group),
  location: "northeurope",
};
const toVm: MachineTargetSpec = { kind: "managed-vm", name: "web-again", resourceGroup: groupId(group) };
const swap: MachineTargetSpec = { kind: "swap-disks", mayStop: true };

/** With the guest state as the restore point holds it. */
async function withGuestState(target: MachineTargetSpec): Promise<{ restore: MachineRestore; state: Uint8Array }> {
  const restore = await restoreOf(bench, sample.vm, target);
  const state = await sample.vm.readGuestState();
  const guestState = { sizeBytes: state.length, read: async () => state };
  const disks = restore.disks.map((disk) => (disk.role === "os" ? { ...disk, guestState } : disk));
  return { restore: { ...restore, disks }, state };
}

async function guestStateOf(id: string): Promise<Uint8Array> {
  const { guestState } = region.server.arm.resources.require(id);
  if (guestState === undefined) throw new Error(`${id} has no guest state.`);
  return region.server.arm.store.read(guestState, 0, guestState.sizeBytes);
}

describe("A restore of a trusted-launch VM", () => {
  test.each([toDisks, toVm, swap])("brings the guest state back with its OS disk: $kind", async (target) => {
    const { restore, state } = await withGuestState(target);
    const plan = await bench.target().preflight(restore, never);
    const ready = withUrls(restore, plan.disks);
    await driven(bench, "prepare", ready);
    await driven(bench, "finish", ready);
    const [os = "", data = ""] = plan.disks;
    expect(Buffer.from(await guestStateOf(os)).equals(Buffer.from(state))).toBe(true);
    const disk = await region.client.disks.get(group, os.split("/").at(-1) ?? "");
    expect(disk).toMatchObject({
      securityProfile: { securityType: "TrustedLaunch" },
      creationData: { createOption: "UploadPreparedSecure" },
      hyperVGeneration: "V2",
    });
    const dataDisk = await region.client.disks.get(group, data.split("/").at(-1) ?? "");
    expect(dataDisk.securityProfile).toBeUndefined();
    for (const id of [os, `${os}#guest-state`]) expect(region.server.arm.grants.of(id)).toBeUndefined();
  });

  test("makes a new VM with the firmware settings that it had", async () => {
    const { restore } = await withGuestState(toVm);
    const plan = await bench.target().preflight(restore, never);
    const ready = withUrls(restore, plan.disks);
    await driven(bench, "prepare", ready);
    await driven(bench, "finish", ready);
    const vm = await region.client.virtualMachines.get(group, "web-again");
    expect(vm.securityProfile).toEqual({
      securityType: "TrustedLaunch",
      uefiSettings: { secureBootEnabled: true, vTpmEnabled: true },
    });
  });

  test("leaves nothing when it is taken back in the middle of the upload", async () => {
    const before = resourcesOf(region);
    const { restore } = await withGuestState(toDisks);
    await driven(bench, "prepare", restore);
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(resourcesOf(region)).toEqual(before);
  });

  test.each([toVm, swap])("is refused without the guest state, and says what to do: $kind", async (target) => {
    const restore = await restoreOf(bench, sample.vm, target);
    await expect(bench.target().preflight(restore, never)).rejects.toMatchObject({
      code: "not-supported",
      message: expect.stringMatching(/virtual TPM.*restore it as managed disks.*BitLocker/),
    });
  });

  test("gives disks of standard security without the guest state, and says so", async () => {
    const restore = await restoreOf(bench, sample.vm, toDisks);
    const plan = await bench.target().preflight(restore, never);
    expect(plan.notes.join()).toContain("no guest state: it is made with standard security");
    const ready = withUrls(restore, plan.disks);
    await driven(bench, "prepare", ready);
    await driven(bench, "finish", ready);
    const disk = await region.client.disks.get(group, plan.disks[0]?.split("/").at(-1) ?? "");
    expect(disk.securityProfile).toBeUndefined();
    expect(disk.creationData?.createOption).toBe("Upload");
  });
});
