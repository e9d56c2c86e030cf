/**
 * What other people do to a VM of Azure and its snapshots between two backups, and during one. As in faults.test.ts: how the run ends, that nothing is
 * left, and that the next scheduled backup works.
 */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { parsePolicyName } from "../../../shared/core/ids.ts";
import { parseVmResourceId } from "../../../shared/core/resource-id.ts";
import { protectVm } from "../../../shared/operations/manage/protect-vm.ts";
import { group, type ManagedVm } from "../../support/managed-vm.ts";
import {
  attach,
  mib,
  startManagedBackups,
  succeeded,
  webVm,
  type ManagedBackups,
} from "../../support/managed-backups.ts";

const never = new AbortController().signal;
const poll = { updateIntervalInMs: 1 };
const hourMs = 3_600_000;

let vaultRegion: Azurite;
beforeAll(async () => {
  vaultRegion = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
});
afterAll(() => vaultRegion.stop());

let backups: ManagedBackups;
beforeEach(async () => {
  backups = await startManagedBackups(vaultRegion);
});
afterEach(() => backups.stop());

const arm = () => backups.region.server.arm;

/** With something new on the disks: that it is in the next restore point. Gives each disk's name and mode. */
async function expectNextWorks(vm: ManagedVm): Promise<readonly (readonly [string, string])[]> {
  for (const disk of vm.diskIds.keys()) await vm.write(disk, 2 * mib, randomBytes(4096));
  const run = succeeded(await backups.nextScheduled());
  await backups.expectHeld(vm);
  await backups.expectLeft(run);
  return run.disks.map(({ name, mode }) => [name, mode]);
}

describe("A VM", () => {
  test("that is deleted fails its run, in words, and is backed up in full when it is made anew with other disks", async () => {
    const vm = await backups.web();
    succeeded(await backups.backup());
    for (const id of [vm.resourceId, ...vm.diskIds]) arm().resources.remove(id);
    const run = await backups.nextScheduled();
    expect(run).toMatchObject({
      state: "failed",
      error: { code: "not-found", message: expect.stringContaining("web") },
    });
    await backups.expectLeft(run);
    const again = await backups.region.addVm("web", 2);
    expect(again.diskIds).toEqual(vm.diskIds);
    for (const disk of [0, 1]) await again.write(disk, 0, randomBytes(mib));
    expect(await expectNextWorks(again)).toEqual([
      ["web-0", "full"],
      ["web-1", "full"],
    ]);
  });

  test("that is deleted while its restore point is made fails its run", async () => {
    const vm = await backups.web();
    backups.takes = (operation) => {
      if (operation === "restorePoints/write") arm().resources.remove(vm.resourceId);
      return operation.startsWith("access") ? 0 : 60_000;
    };
    const error = new ServiceError(404, "ResourceNotFound", "The VM web was not found.");
    const fault = arm().faults.planOperation("restorePoints/write", { kind: "fails", error });
    const run = await backups.backup();
    expect(fault.happened()).toBe(1);
    expect(run).toMatchObject({ state: "failed", error: { code: "not-found" } });
    await backups.expectLeft(run);
  });

  test("that is moved to another resource group fails until it is protected there, and its former base is removed", async () => {
    const vm = await backups.web();
    succeeded(await backups.backup());
    const there = parseVmResourceId(vm.resourceId.replace(`/resourceGroups/${group}/`, "/resourceGroups/other/"));
    const before = arm().resources.require(vm.resourceId);
    arm().resources.remove(vm.resourceId);
    arm().resources.put({ ...before, id: there, body: { ...before.body, id: there } });
    const lost = await backups.nextScheduled();
    expect(lost).toMatchObject({ state: "failed", error: { code: "not-found" } });
    await backups.expectLeft(lost);
    const source = { kind: "managed", resourceId: there } as const;
    await protectVm(backups.pipeline.context, { name: webVm, policy: parsePolicyName("daily"), source }, never);
    expect(await expectNextWorks(vm)).toEqual([
      ["web-0", "incremental"],
      ["web-1", "incremental"],
    ]);
  });

  test("whose disks are in another resource group than itself leaves nothing there", async () => {
    const vm = await backups.web({ disks: 1, wanted: "crash" });
    const there = vm.diskIds[0]?.replace(`/resourceGroups/${group}/`, "/resourceGroups/storage/") ?? "";
    const disk = arm().resources.require(vm.diskIds[0] ?? "");
    arm().resources.remove(disk.id);
    arm().resources.put({ ...disk, id: there, body: { ...disk.body, id: there } });
    attach(backups.region, vm, [there]);
    succeeded(await backups.backup());
    const run = succeeded(await backups.nextScheduled());
    expect(run.set.snapshots[0]?.reference["id"]).toContain(`/resourceGroups/${group}/`);
    await backups.expectLeft(run);
  });
});

describe("A disk", () => {
  test("that is detached between two backups is not in the second one, and is full again where it comes back", async () => {
    const vm = await backups.web({ disks: 3 });
    succeeded(await backups.backup());
    const [first = "", second = "", third = ""] = vm.diskIds;
    attach(backups.region, vm, [first, third]);
    expect(await expectNextWorks(vm)).toEqual([
      ["web-0", "incremental"],
      ["web-2", "incremental"],
    ]);
    attach(backups.region, vm, [first, second, third]);
    expect(await expectNextWorks(vm)).toEqual([
      ["web-0", "incremental"],
      ["web-1", "full"],
      ["web-2", "incremental"],
    ]);
  });

  test("that is detached while the restore point is made is told, and the next attempt is without it", async () => {
    const vm = await backups.web({ disks: 3 });
    const [first = "", , third = ""] = vm.diskIds;
    let puts = 0;
    // Between our look at the VM and the platform's.
    const planned = arm().faults.ofRequest.bind(arm().faults);
    arm().faults.ofRequest = (request) => {
      if (/^PUT .*restorePoints\//.test(request) && puts++ === 0) attach(backups.region, vm, [first, third]);
      return planned(request);
    };
    const run = succeeded(await backups.backup());
    expect(await backups.waits(run)).toEqual(["snapshot-failed"]);
    expect(run.disks.map(({ name }) => name)).toEqual(["web-0", "web-2"]);
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });

  test("that grows is copied by what changed, with its new end", async () => {
    const vm = await backups.web();
    succeeded(await backups.backup());
    backups.takes = () => 0;
    await backups.region.client.disks.beginUpdateAndWait(group, "web-1", { diskSizeGB: 3 }, poll);
    await vm.write(1, 3 * 1024 * mib - 512, randomBytes(512));
    expect(await expectNextWorks(vm)).toEqual([
      ["web-0", "incremental"],
      ["web-1", "incremental"],
    ]);
  });

  test("that grows over 4 TiB is copied in full, once", async () => {
    const vm = await backups.web();
    succeeded(await backups.backup());
    backups.takes = () => 0;
    await backups.region.client.disks.beginUpdateAndWait(group, "web-1", { diskSizeGB: 4097 }, poll);
    await vm.write(1, 4097 * 1024 * mib - 512, randomBytes(512));
    expect(await expectNextWorks(vm)).toEqual([
      ["web-0", "incremental"],
      ["web-1", "full"],
    ]);
    expect(await expectNextWorks(vm)).toEqual([
      ["web-0", "incremental"],
      ["web-1", "incremental"],
    ]);
  });
});

describe("A base", () => {
  test.each([
    ["restore point", { disks: 2, wanted: "application" }],
    ["snapshot", { disks: 1, wanted: "crash" }],
  ] as const)("that is a %s which somebody deleted makes the next backup a full one", async (_, options) => {
    const vm = await backups.web(options);
    succeeded(await backups.backup());
    for (const id of backups.standing()) arm().resources.remove(id);
    const modes = await expectNextWorks(vm);
    expect(modes.map(([, mode]) => mode)).toEqual(vm.diskIds.map(() => "full"));
  });
});

describe("A lock on the resource group", () => {
  const locked = new ServiceError(409, "ScopeLocked", "The scope is locked: remove the lock 'keep' and try again.");
  const lock = (methods: string) =>
    arm().faults.planRequest(new RegExp(`^(?:${methods}) .*/resourceGroups/`, "i"), locked, 10_000);

  test("that lets nobody change anything fails the run and says so; nothing is left, and lifted, the next one works", async () => {
    const vm = await backups.web();
    succeeded(await backups.backup());
    const fault = lock("PUT|POST|DELETE");
    const run = await backups.nextScheduled();
    expect(run).toMatchObject({
      state: "failed",
      error: { code: "forbidden", message: expect.stringContaining("remove the lock 'keep'") },
    });
    await backups.expectLeft(run);
    fault.lift();
    await expectNextWorks(vm);
  });

  test("that lets nobody delete keeps no backup from being made; lifted, the sweep removes what was left", async () => {
    const vm = await backups.web();
    succeeded(await backups.backup());
    const fault = lock("DELETE");
    const error = new ServiceError(500, "VMRestorePointInternalError", "It did not work out.");
    arm().faults.planOperation("restorePoints/write", { kind: "fails", error });
    const run = succeeded(await backups.nextScheduled());
    expect(run.attempt).toBe(2);
    await backups.expectHeld(vm);
    expect(backups.standing().filter((id) => /\/restorePoints\/[^/]+$/.test(id))).toHaveLength(3);
    fault.lift();
    await backups.sweep();
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });
});

describe("A deletion", () => {
  test.each([
    ["restore point", "restorePoints/delete", { disks: 2, wanted: "application" }],
    ["snapshot", "snapshots/delete", { disks: 1, wanted: "crash" }],
  ] as const)(
    "of a %s that is accepted and fails at its end is begun anew by the sweep",
    async (_, operation, options) => {
      const vm = await backups.web(options);
      succeeded(await backups.backup());
      const error = new ServiceError(500, "InternalError", "It did not work out.");
      const fault = arm().faults.planOperation(operation, { kind: "fails", error });
      const run = succeeded(await backups.nextScheduled());
      expect(fault.happened()).toBe(1);
      backups.pipeline.advance(hourMs);
      const left = backups.standing().length;
      await backups.sweep();
      await backups.expectLeft(run);
      expect(backups.standing().length).toBeLessThan(left);
      await expectNextWorks(vm);
    },
  );

  test("that never ends is begun anew by the sweep too", async () => {
    const vm = await backups.web();
    succeeded(await backups.backup());
    const fault = arm().faults.planOperation("restorePoints/delete", { kind: "never-ends" });
    const run = succeeded(await backups.nextScheduled());
    expect(fault.happened()).toBe(1);
    await backups.sweep();
    await backups.expectLeft(run);
    await expectNextWorks(vm);
  });
});
