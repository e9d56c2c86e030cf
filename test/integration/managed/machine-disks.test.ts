/** Restores as managed disks: the real adapter over a local ARM. */
import { inspect } from "node:util";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import type { ManagedDisksTarget } from "../../../shared/core/machine-restore.ts";
import { parseVhdFooter } from "../../../shared/core/vhd.ts";
import {
  bytesOf,
  driven,
  groupId,
  machineBench,
  resourcesOf,
  restoreOf,
  runB,
  takenBack,
  testClock,
  withUrls,
  type MachineBench,
} from "../../support/machine-restores.ts";
import { diskGib, group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";

const never = new AbortController().signal;
const mib = 1024 ** 2;
const gib = diskGib * 1024 ** 3;

let region: ManagedRegion;
let bench: MachineBench;
let vm: ManagedVm;
let takes: (operation: string) => number;

beforeEach(async () => {
  const clock = testClock();
  takes = (operation) => (operation.startsWith("access/begin") ? 0 : 30_000);
  region = await startManagedRegion({ now: () => clock.at, takes: (operation) => takes(operation) });
  bench = await machineBench(region, clock);
  vm = await region.addVm("web", 2);
});
afterEach(() => region.stop());

const toDisks: ManagedDisksTarget = {
  kind: "managed-disks",
  resourceGroup: groupId(group),
  location: "northeurope",
};

async function planned(target: ManagedDisksTarget = toDisks) {
  const restore = await restoreOf(bench, vm, target);
  const plan = await bench.target().preflight(restore, never);
  return { restore: withUrls(restore, plan.disks), plan };
}

describe("A restore as managed disks", () => {
  test("makes disks with exactly the bytes that were written, zeros elsewhere, and a VHD's footer; they can be attached", async () => {
    const { restore, plan } = await planned();
    expect(plan.disks.map((id) => id.split("/").at(-1))).toEqual([
      "web-20261120T083000Z-web-0",
      "web-20261120T083000Z-web-1",
    ]);
    const prepared = await driven(bench, "prepare", restore);
    expect(prepared.made.map(({ id }) => id)).toEqual(plan.disks);
    const [first, second] = restore.disks;
    if (first === undefined || second === undefined) throw new Error("There are two disks.");
    const start = Buffer.alloc(9 * mib, "start of the disk");
    const end = Buffer.alloc(512, "end");
    const writer = bench.target();
    await writer.write(first, restore.runId, 0, start, never);
    await writer.write(first, restore.runId, gib - 512, end, never);
    await writer.write(second, restore.runId, 64 * mib, start, never);
    // Twice: a step may be delivered again.
    await bench.target().write(second, restore.runId, 64 * mib, start, never);
    const finished = await driven(bench, "finish", restore);
    expect(finished.made).toEqual(prepared.made);
    const [one = "", two = ""] = plan.disks;
    expect(Buffer.from(await bytesOf(region, one, 0, 9 * mib)).equals(start)).toBe(true);
    expect(Buffer.from(await bytesOf(region, one, gib - 512, 512)).equals(end)).toBe(true);
    expect(Buffer.from(await bytesOf(region, two, 64 * mib, 9 * mib)).equals(start)).toBe(true);
    expect(region.server.arm.store.allocated(region.server.arm.resources.require(two).bytes ?? none, 0, gib)).toEqual([
      { start: 64 * mib, end: 73 * mib, kind: "written" },
    ]);
    for (const id of plan.disks) {
      expect(parseVhdFooter(await bytesOf(region, id, gib, 512))).toEqual({ kind: "fixed", sizeBytes: gib });
      expect(region.server.arm.grants.of(id)).toBeUndefined();
      const disk = await region.client.disks.get(group, id.split("/").at(-1) ?? "");
      expect(disk).toMatchObject({ location: "northeurope", diskState: "Unattached", diskSizeBytes: gib });
      expect(disk.tags).toMatchObject({ "farside-run": restore.runId, "farside-vm": "web" });
    }
    // Done as well where it was done before.
    expect((await driven(bench, "finish", restore)).made).toEqual(finished.made);
    expect((await driven(bench, "prepare", restore)).made).toEqual(prepared.made);
  });

  test("rounds a disk up that is smaller than Azure makes them, and says so", async () => {
    const { restore } = await planned();
    const [first] = restore.disks;
    if (first === undefined) throw new Error("There is a disk.");
    const odd = { ...restore, disks: [{ ...first, sizeBytes: 3 * mib + 100 }] };
    const plan = await bench.target().preflight(odd, never);
    expect(plan.notes.join()).toContain("20971520 bytes instead of 3145828");
    await driven(bench, "prepare", odd);
    const tail = new Uint8Array(100).fill(7);
    await bench.target().write(odd.disks[0] ?? first, odd.runId, 3 * mib, tail, never);
    await driven(bench, "finish", odd);
    const [id = ""] = plan.disks;
    expect(await bytesOf(region, id, 3 * mib, 512)).toEqual(new Uint8Array(512).fill(7, 0, 100));
    expect(parseVhdFooter(await bytesOf(region, id, 20 * mib, 512))).toEqual({ kind: "fixed", sizeBytes: 20 * mib });
  });

  test("touches nothing of another restore with the same names, of which one alone gets them", async () => {
    const { restore: mine } = await planned();
    const other = { ...mine, runId: runB };
    const [a, b] = [bench.target(), bench.target()];
    const begun = await Promise.allSettled([a.prepare(mine, undefined, never), b.prepare(other, undefined, never)]);
    expect(begun.map(({ status }) => status)).toContain("fulfilled");
    bench.clock.at += 60_000;
    const outcomes = await Promise.allSettled([driven(bench, "prepare", mine), driven(bench, "prepare", other)]);
    expect(outcomes.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    const [winner, loser] = outcomes[0]?.status === "fulfilled" ? [mine, other] : [other, mine];
    await expect(bench.target().preflight(loser, never)).rejects.toMatchObject({ code: "target-exists" });
    const [disk] = loser.disks;
    if (disk === undefined) throw new Error("There is a disk.");
    await expect(bench.target().write(disk, loser.runId, 0, new Uint8Array(512).fill(1), never)).rejects.toMatchObject({
      code: "target-exists",
    });
    const before = resourcesOf(region);
    await takenBack(bench, loser);
    expect(resourcesOf(region)).toEqual(before);
    await driven(bench, "finish", winner);
  });

  test("is one where two calls of a phase run at once", async () => {
    const { restore, plan } = await planned();
    await Promise.all([driven(bench, "prepare", restore), driven(bench, "prepare", restore)]);
    await Promise.all([driven(bench, "finish", restore), driven(bench, "finish", restore)]);
    const made = Object.keys(resourcesOf(region)).filter((id) => id.includes("20261120T083000Z"));
    expect(made.toSorted()).toEqual(plan.disks.toSorted());
  });

  test("takes no write after its end, nor after it was taken back, and changes nothing then", async () => {
    const { restore, plan } = await planned();
    await driven(bench, "prepare", restore);
    const [disk] = restore.disks;
    const [id = ""] = plan.disks;
    if (disk === undefined) throw new Error("There is a disk.");
    const late = bench.target();
    await late.write(disk, restore.runId, 0, new Uint8Array(512).fill(1), never);
    await driven(bench, "finish", restore);
    const write = () => late.write(disk, restore.runId, 0, new Uint8Array(512).fill(2), never);
    await expect(write()).rejects.toMatchObject({ code: "refused" });
    expect(await bytesOf(region, id, 0, 512)).toEqual(new Uint8Array(512).fill(1));
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    await expect(write()).rejects.toMatchObject({ code: "not-found" });
  });

  test("writes on with a new SAS where the one it had is refused before its end", async () => {
    const { restore, plan } = await planned();
    await driven(bench, "prepare", restore);
    const [disk] = restore.disks;
    const [id = ""] = plan.disks;
    if (disk === undefined) throw new Error("There is a disk.");
    const writer = bench.target();
    await writer.write(disk, restore.runId, 0, new Uint8Array(512).fill(1), never);
    // As a rotation of the platform's keys would: the upload itself goes on.
    region.server.arm.grants.end(id);
    await writer.write(disk, restore.runId, 512, new Uint8Array(512).fill(2), never);
    expect(await bytesOf(region, id, 512, 512)).toEqual(new Uint8Array(512).fill(2));
    // Given back by somebody, the disk is sealed: then it is at an end.
    await region.client.disks.revokeAccess(group, id.split("/").at(-1) ?? "", { updateIntervalInMs: 1 }).submitted();
    bench.clock.at += 60_000;
    await region.client.disks.get(group, id.split("/").at(-1) ?? "");
    await expect(writer.write(disk, restore.runId, 1024, new Uint8Array(512).fill(3), never)).rejects.toMatchObject({
      code: "refused",
    });
  });

  test("shows no SAS, whatever the disk's endpoint answers", async () => {
    const { restore } = await planned();
    await driven(bench, "prepare", restore);
    const [disk] = restore.disks;
    if (disk === undefined) throw new Error("There is a disk.");
    const answers = [
      new ServiceError(403, "AuthenticationFailed", "The signature sig=abc is wrong."),
      new ServiceError(413, "RequestBodyTooLarge", "https://md-1/abcd?sig=abc"),
    ];
    for (const answer of answers) {
      region.server.arm.faults.beforeData = async () => Promise.reject(answer);
      const error: unknown = await bench
        .target()
        .write(disk, restore.runId, 0, new Uint8Array(512).fill(1), never)
        .catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ name: "FarsideError" });
      expect(inspect(error, { depth: 10 })).not.toMatch(/sig=|\/md-/);
    }
  });

  test("ends with the platform's reason where making a disk fails at its end, and leaves nothing", async () => {
    const before = resourcesOf(region);
    const { restore } = await planned();
    const error = new ServiceError(409, "DiskSizeNotSupported", "The disk is not to the region's liking.");
    const fault = region.server.arm.faults.planOperation("disks/write", { kind: "fails", error });
    await expect(driven(bench, "prepare", restore)).rejects.toMatchObject({
      message: expect.stringContaining("not to the region's liking"),
      advice: "give-up",
    });
    expect(fault.happened()).toBe(1);
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(resourcesOf(region)).toEqual(before);
  });

  test("tries again what failed for a passing reason, and gives up in the end", async () => {
    const { restore } = await planned();
    const error = new ServiceError(409, "InternalExecutionError", "Something went wrong.");
    region.server.arm.faults.planOperation("disks/write", { kind: "fails", error }, 2);
    await driven(bench, "prepare", restore);
    region.server.arm.faults.planOperation("access/end", { kind: "fails", error }, 100);
    await expect(driven(bench, "finish", restore)).rejects.toMatchObject({ code: "refused" });
  });

  test("gives an operation up that never ends, and leaves nothing", async () => {
    const before = resourcesOf(region);
    const { restore } = await planned();
    region.server.arm.faults.planOperation("disks/write", { kind: "never-ends" });
    await expect(driven(bench, "prepare", restore)).rejects.toMatchObject({ code: "deadline-passed" });
    expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
    expect(resourcesOf(region)).toEqual(before);
  });

  test("comes back later where the service asks it to", async () => {
    const { restore } = await planned();
    const busy = new ServiceError(429, "OperationNotAllowed", "Too many requests.", { "Retry-After": "120" });
    region.server.arm.faults.planRequest(/^PUT .*\/disks\//, busy);
    await expect(bench.target().prepare(restore, undefined, never)).rejects.toMatchObject({
      code: "throttled",
      retryAfterMs: 120_000,
    });
    await driven(bench, "prepare", restore);
  });
});

const none = { sizeBytes: 0, layers: [] };

describe("Taking back a restore as managed disks", () => {
  test("leaves only what was there before, from each phase", async () => {
    const before = resourcesOf(region);
    const { restore } = await planned();
    const phases = [
      async () => undefined,
      async () => bench.target().prepare(restore, undefined, never),
      async () => driven(bench, "prepare", restore),
      async () => {
        await driven(bench, "prepare", restore);
        await bench.target().finish(restore, undefined, never);
      },
      async () => {
        await driven(bench, "prepare", restore);
        await driven(bench, "finish", restore);
      },
    ];
    for (const phase of phases) {
      await phase();
      expect(await takenBack(bench, restore)).toEqual({ kind: "gone", left: [] });
      expect(resourcesOf(region)).toEqual(before);
    }
  });

  test("leaves a disk that somebody has attached or locked, and says why", async () => {
    const { restore, plan } = await planned({ ...toDisks, location: "westeurope" });
    await driven(bench, "prepare", restore);
    await driven(bench, "finish", restore);
    const [one = "", two = ""] = plan.disks;
    const storageProfile = { osDisk: { createOption: "Attach", managedDisk: { id: one }, osType: "Linux" } } as const;
    const model = { location: "westeurope", storageProfile };
    await region.client.virtualMachines.createOrUpdate(group, "rescue", model).submitted();
    const locked = new ServiceError(409, "ScopeLocked", "The scope is locked.");
    region.server.arm.faults.planRequest(new RegExp(`^DELETE ${two}$`), locked, 100);
    const { left } = await takenBack(bench, restore);
    expect(left.join("\n")).toMatch(/web-0 is left: it is attached to rescue[^]*web-1 is left: .*ScopeLocked/);
    expect(Object.keys(resourcesOf(region))).toEqual(expect.arrayContaining([one, two]));
  });
});
