/** The documented limits of snapshots, restore points and access, on the local ARM, through the real SDK. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { group, startManagedRegion, type ManagedRegion, type ManagedVm } from "../../support/managed-vm.ts";

const location = "westeurope";
const poll = { updateIntervalInMs: 1 };
const minuteMs = 60_000;
const read = { access: "Read", durationInSeconds: 600 } as const;

let now: number;
let takes: (operation: string) => number;
let region: ManagedRegion;
let vm: ManagedVm;
beforeEach(async () => {
  now = Date.parse("2026-11-21T00:00:00Z");
  takes = () => 0;
  region = await startManagedRegion({ now: () => now, takes: (name) => takes(name) });
  vm = await region.addVm("web", 2);
});
afterEach(() => region.stop());

const snapshot = (name: string, incremental = true) => {
  const creationData = { createOption: "Copy", sourceResourceId: vm.diskIds[0] ?? "" };
  return region.client.snapshots.createOrUpdate(group, name, { location, incremental, creationData }, poll);
};
const collection = () =>
  region.client.restorePointCollections.createOrUpdate(group, "web", { location, source: { id: vm.resourceId } });
const point = (name: string, consistencyMode?: "CrashConsistent") =>
  region.client.restorePoints.create(
    group,
    "web",
    name,
    consistencyMode === undefined ? {} : { consistencyMode },
    poll,
  );

/** A resource like another one, without a request for each. */
function multiply(id: string, times: number): void {
  const { resources } = region.server.arm;
  const one = resources.require(id);
  for (let at = 0; at < times; at++) resources.put({ ...one, id: `${id}-${at}` });
}

describe("Of a disk", () => {
  test("seven incremental snapshots can be made in five minutes, and full ones do not count", async () => {
    await snapshot("full", false);
    for (let at = 0; at < 7; at++) await snapshot(`s${at}`);
    await expect(snapshot("s7")).rejects.toMatchObject({ statusCode: 409, code: "OperationNotAllowed" });
    now += 5 * minuteMs;
    await expect(snapshot("s7")).resolves.toMatchObject({ provisioningState: "Succeeded" });
  });

  test("500 incremental snapshots can stand", async () => {
    const { id = "" } = await snapshot("s");
    multiply(id, 498);
    now += 5 * minuteMs;
    await snapshot("last");
    now += 5 * minuteMs;
    await expect(snapshot("more")).rejects.toMatchObject({ statusCode: 409, message: expect.stringMatching(/500/) });
    await region.client.snapshots.delete(group, "s", poll);
    await snapshot("more");
  });

  test("five snapshots of one family can have a SAS, and what has one is not deleted", async () => {
    const { snapshots } = region.client;
    for (let at = 0; at < 6; at++) await snapshot(`s${at}`);
    for (let at = 0; at < 5; at++) await snapshots.grantAccess(group, `s${at}`, read, poll);
    await expect(snapshots.grantAccess(group, "s5", read, poll)).rejects.toThrow(/Only 5 snapshots/);
    await expect(snapshots.delete(group, "s0", poll)).rejects.toMatchObject({ statusCode: 409 });
    await snapshots.revokeAccess(group, "s0", poll);
    await snapshots.grantAccess(group, "s5", read, poll);
    await snapshots.delete(group, "s0", poll);
    now += 600_000;
    // A SAS that has ended by itself holds nothing.
    await snapshots.delete(group, "s1", poll);
  });

  test("nothing is exported where its networkAccessPolicy is DenyAll, and private access needs its resource", async () => {
    const { snapshots, disks } = region.client;
    const creationData = { createOption: "Copy", sourceResourceId: vm.diskIds[0] ?? "" };
    const denied = { location, incremental: true, creationData, networkAccessPolicy: "DenyAll" };
    await snapshots.createOrUpdate(group, "denied", denied, poll);
    await expect(snapshots.grantAccess(group, "denied", read, poll)).rejects.toThrow(/DenyAll/);
    const lonely = { ...denied, networkAccessPolicy: "AllowPrivate" };
    await expect(snapshots.createOrUpdate(group, "lonely", lonely, poll)).rejects.toThrow(/diskAccessId/);
    const empty = { location, creationData: { createOption: "Empty" }, diskSizeGB: 1 };
    const named = { ...empty, networkAccessPolicy: "AllowPrivate", diskAccessId: `${vm.resourceId}/none` };
    await expect(disks.createOrUpdate(group, "private", named, poll)).resolves.toMatchObject(named);
  });
});

describe("Of a VM", () => {
  test("three restore points of a mode can be made in an hour; the fourth is told how long to wait, as compute tells it", async () => {
    await collection();
    for (const name of ["a1", "a2", "a3"]) await point(name);
    await region.client.restorePoints.delete(group, "web", "a1", poll);
    const { restorePoints } = region.client;
    await expect(restorePoints.create(group, "web", "a4", {}, poll)).rejects.toMatchObject({ statusCode: 429 });
    const groupId = vm.resourceId.split("/providers/")[0] ?? "";
    const path = `${groupId}/providers/Microsoft.Compute/restorePointCollections/web/restorePoints/a4`;
    const refused = await fetch(`${region.server.url}${path}?api-version=2026-04-01`, {
      method: "PUT",
      headers: { authorization: "Bearer token" },
      body: "{}",
    });
    expect(refused.headers.get("retry-after")).toBe("3600");
    expect(refused.headers.get("x-ms-ratelimit-remaining-resource")).toBe("Microsoft.Compute/RestorePointCreate;0");
    expect(await refused.json()).toMatchObject({
      code: "OperationNotAllowed",
      details: [{ code: "TooManyRequests", target: "RestorePointCreate" }],
    });
    const failed = { kind: "fails", error: new ServiceError(409, "VMRestorePointInternalError", "No.") } as const;
    const fault = region.server.arm.faults.planOperation("restorePoints/write", failed);
    await expect(point("c0", "CrashConsistent")).rejects.toThrow(/No\./);
    expect(fault.happened()).toBe(1);
    for (const name of ["c1", "c2", "c3"]) await point(name, "CrashConsistent");
    await expect(point("c4", "CrashConsistent")).rejects.toMatchObject({ statusCode: 429 });
    now += 60 * minuteMs;
    await point("a4");
  });

  test("500 restore points can stand, over all its collections, and one can be made at a time", async () => {
    await collection();
    const { id = "" } = await point("p");
    multiply(id, 498);
    takes = () => minuteMs;
    const options = { ...poll, abortSignal: AbortSignal.timeout(100) };
    await expect(region.client.restorePoints.create(group, "web", "slow", {}, options)).rejects.toThrow(/abort/i);
    await expect(point("beside")).rejects.toMatchObject({ statusCode: 409, code: "VMRestorePointClientError" });
    now += minuteMs;
    takes = () => 0;
    await expect(point("more")).rejects.toThrow(/500 restore points/);
  });

  test("a restore point leaves out the disks that it is told to, and shows how far the copies of the others are", async () => {
    await collection();
    const [os = "", data = ""] = vm.diskIds;
    const { restorePoints, diskRestorePoint, restorePointCollections } = region.client;
    const made = await restorePoints.create(group, "web", "one", { excludeDisks: [{ id: data }] }, poll);
    expect(made.sourceMetadata?.storageProfile).toMatchObject({ osDisk: { managedDisk: { id: os } }, dataDisks: [] });
    expect(made.excludeDisks).toEqual([{ id: data }]);
    const others = await restorePoints.create(group, "web", "two", { excludeDisks: [{ id: os }] }, poll);
    expect(others.sourceMetadata?.storageProfile?.osDisk).toMatchObject({ managedDisk: { id: os } });
    expect(others.sourceMetadata?.storageProfile?.osDisk?.diskRestorePoint).toBeUndefined();
    const seen = await restorePoints.get(group, "web", "one", { expand: "instanceView" });
    const states = seen.instanceView?.diskRestorePoints?.map((disk) => [
      disk.replicationStatus?.completionPercent,
      disk.snapshotAccessState,
    ]);
    expect(states).toEqual([[100, "Available"]]);
    const [disk] = await Array.fromAsync(diskRestorePoint.listByRestorePoint(group, "web", "one"));
    await diskRestorePoint.grantAccess(group, "web", "one", disk?.name ?? "", read, poll);
    const used = { statusCode: 409, code: "DiskRestorePointUsedByCustomer" };
    await expect(restorePoints.delete(group, "web", "one", poll)).rejects.toMatchObject(used);
    await expect(restorePointCollections.delete(group, "web", poll)).rejects.toMatchObject(used);
    await diskRestorePoint.revokeAccess(group, "web", "one", disk?.name ?? "", poll);
    await restorePointCollections.delete(group, "web", poll);
  });

  test("twelve changes can be asked for at once, then four in a minute", async () => {
    const start = () => region.client.virtualMachines.start(group, "web", poll);
    // One of them made the VM.
    for (let at = 0; at < 11; at++) await start();
    await expect(start()).rejects.toMatchObject({ statusCode: 429, code: "OperationNotAllowed" });
    await region.client.virtualMachines.deallocate(group, "web", poll);
    now += minuteMs;
    for (let at = 0; at < 4; at++) await start();
    await expect(start()).rejects.toMatchObject({ statusCode: 429 });
  });
});

describe("Of a subscription", () => {
  test("250 reads can be asked for at once, then 25 in a second; what ARM refuses has its envelope", async () => {
    const look = () => region.client.disks.get(group, "web-0");
    const refused = async (): Promise<unknown> => {
      for (let at = 0; at <= 250; at++) await look();
      return undefined;
    };
    await expect(refused()).rejects.toMatchObject({ statusCode: 429, code: "SubscriptionRequestsThrottled" });
    now += 1000;
    for (let at = 0; at < 25; at++) await look();
    await expect(look()).rejects.toMatchObject({ statusCode: 429 });
  });

  test("a fault answers as it was planned, in the envelope of ARM", async () => {
    const planned = new ServiceError(503, "ServiceUnavailable", "Later.", { "Retry-After": "9" });
    region.server.arm.faults.planRequest(/disks/, planned);
    await expect(region.client.disks.get(group, "web-0")).rejects.toMatchObject({ code: "ServiceUnavailable" });
  });
});
