import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ServiceError } from "../../../local/arm/service-error.ts";
import { type ArmServer, startArmServer } from "../../../local/arm/arm-server.ts";
import type { ArmExchange } from "../../../local/arm/exchange.ts";
import { ExchangeCheck } from "../../support/specification/exchange-check.ts";
import { refuseFindings } from "../../support/specification/refuse-findings.ts";
import { computeClient, subscriptionId } from "../../support/arm-client.ts";

const group = "prod";
const location = "westeurope";
const gib = 1024 ** 3;
const poll = { updateIntervalInMs: 1 };

let folder: string;
let server: ArmServer;
let check: ExchangeCheck;
let client: ReturnType<typeof computeClient>;
let now = Date.parse("2026-11-21T00:00:00Z");

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-arm-"));
  // Every look at the clock is 10 ms later: operations end after a few polls, and no test waits.
  check = new ExchangeCheck();
  const onExchange = (exchange: ArmExchange) => check.see(exchange);
  server = await startArmServer({ folder, now: () => (now += 10), takes: () => 30, onExchange });
  client = computeClient(server.url);
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
  refuseFindings(check.findings);
});

function blob(sas: string | undefined): PageBlobClient {
  return new PageBlobClient(sas ?? "", new AnonymousCredential(), { retryOptions: { maxTries: 1 } });
}

async function makeDisk(name: string, diskSizeGB = 1) {
  const creationData = { createOption: "Empty" };
  return client.disks.createOrUpdate(group, name, { location, creationData, diskSizeGB }, poll);
}

async function makeVm(name: string, disks = 2) {
  const made = await Promise.all(Array.from({ length: disks }, (_, lun) => makeDisk(`${name}-${lun}`)));
  const attach = { createOption: "Attach" };
  const [osDisk, ...dataDisks] = made.map((disk) => ({
    ...attach,
    name: disk.name ?? "",
    managedDisk: { id: disk.id ?? "" },
  }));
  if (osDisk === undefined) throw new Error("A VM has a disk.");
  const storageProfile = {
    osDisk: { ...osDisk, osType: "Linux" as const },
    dataDisks: dataDisks.map((disk, lun) => ({ ...disk, lun })),
  };
  return client.virtualMachines.createOrUpdate(group, name, { location, storageProfile }, poll);
}

/** Bytes as the guest of a running VM writes them. */
async function guestWrites(diskId: string, offset: number, content: Uint8Array): Promise<void> {
  const { bytes } = server.arm.resources.require(diskId);
  if (bytes === undefined) throw new Error("A disk has bytes.");
  await server.arm.store.write(bytes, offset, content);
}

describe("A local ARM, through the real SDK", () => {
  test("makes a disk, a snapshot and its SAS, reads it, and gives the exact difference to the next one", async () => {
    const disk = await makeDisk("data", 4);
    expect(disk).toMatchObject({ name: "data", provisioningState: "Succeeded", diskSizeBytes: 4 * gib });
    const id = disk.id ?? "";
    await guestWrites(id, gib, new Uint8Array(4096).fill(1));
    const creationData = { createOption: "Copy", sourceResourceId: id };
    const urls: (string | undefined)[] = [];
    for (const name of ["first", "second"]) {
      const snapshot = await client.snapshots.createOrUpdate(
        group,
        name,
        { location, incremental: true, creationData },
        poll,
      );
      expect(snapshot).toMatchObject({ provisioningState: "Succeeded", completionPercent: 100 });
      expect(snapshot.incrementalSnapshotFamilyId).toBeDefined();
      const access = await client.snapshots.grantAccess(group, name, { access: "Read", durationInSeconds: 600 }, poll);
      urls.push(access.accessSAS);
      await guestWrites(id, 2 * gib, new Uint8Array(512).fill(2));
    }
    const newer = blob(urls[1]);
    expect((await newer.getProperties()).contentLength).toBe(4 * gib + 512);
    expect(await newer.downloadToBuffer(4 * gib, 8)).toEqual(Buffer.from("conectix"));
    const diff = await newer.getPageRangesDiffForManagedDisks(0, 4 * gib + 512, urls[0] ?? "");
    expect(diff.pageRange).toEqual([{ offset: 2 * gib, count: 511 }]);
    await expect(client.snapshots.delete(group, "first", poll)).rejects.toMatchObject({ statusCode: 409 });
    await client.snapshots.revokeAccess(group, "first", poll);
    await client.snapshots.delete(group, "first", poll);
    await expect(client.snapshots.get(group, "first")).rejects.toMatchObject({
      statusCode: 404,
      code: "ResourceNotFound",
    });
  });

  test("takes a restore point of all disks of a VM at once, and reads back the consistency that was achieved", async () => {
    const vm = await makeVm("web", 3);
    const collection = { location, source: { id: vm.id ?? "" } };
    await client.restorePointCollections.createOrUpdate(group, "web", collection);
    const made = await client.restorePoints.create(group, "web", "one", {}, poll);
    expect(made).toMatchObject({ provisioningState: "Succeeded", consistencyMode: "FileSystemConsistent" });
    const points = await Array.fromAsync(client.diskRestorePoint.listByRestorePoint(group, "web", "one"));
    expect(points).toHaveLength(3);
    expect(new Set(points.map((point) => point.familyId)).size).toBe(3);
    const name = points[0]?.name ?? "";
    const access = await client.diskRestorePoint.grantAccess(
      group,
      "web",
      "one",
      name,
      { access: "Read", durationInSeconds: 60 },
      poll,
    );
    expect((await blob(access.accessSAS).getProperties()).contentLength).toBe(gib + 512);
    const crash = await client.restorePoints.create(group, "web", "two", { consistencyMode: "CrashConsistent" }, poll);
    expect(crash.consistencyMode).toBe("CrashConsistent");
    await expect(
      client.restorePoints.create(group, "web", "three", { consistencyMode: "ApplicationConsistent" }, poll),
    ).rejects.toMatchObject({ statusCode: 400 });
  });

  test("takes an upload, and lets the disk be attached only after its access was given back", async () => {
    const uploadSizeBytes = 32 * 1024 ** 2 + 512;
    const creationData = { createOption: "Upload", uploadSizeBytes };
    const disk = await client.disks.createOrUpdate(group, "restored", { location, creationData }, poll);
    expect(disk).toMatchObject({ diskState: "ReadyToUpload", diskSizeBytes: uploadSizeBytes - 512 });
    const access = await client.disks.grantAccess(group, "restored", { access: "Write", durationInSeconds: 600 }, poll);
    await blob(access.accessSAS).uploadPages(new Uint8Array(512).fill(7), 1024, 512);
    const model = {
      location,
      storageProfile: {
        osDisk: { createOption: "Attach", osType: "Linux" as const, managedDisk: { id: disk.id ?? "" } },
      },
    };
    await expect(client.virtualMachines.createOrUpdate(group, "new", model, poll)).rejects.toMatchObject({
      statusCode: 409,
    });
    await client.disks.revokeAccess(group, "restored", poll);
    const vm = await client.virtualMachines.createOrUpdate(group, "new", model, poll);
    expect(vm.provisioningState).toBe("Succeeded");
  });

  test("stops, starts and lists VMs in pages, and shows their state where it is asked for", async () => {
    await makeVm("web", 1);
    await client.virtualMachines.deallocate(group, "web", poll);
    const stopped = await client.virtualMachines.get(group, "web", { expand: "instanceView" });
    expect(stopped.instanceView?.statuses?.map(({ code }) => code)).toContain("PowerState/deallocated");
    await client.virtualMachines.start(group, "web", poll);
    const started = await client.virtualMachines.instanceView(group, "web");
    expect(started.statuses?.map(({ code }) => code)).toContain("PowerState/running");
    for (let number = 0; number < 60; number++) {
      const id = `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.Compute/virtualMachines/v${number}`;
      server.arm.resources.put({
        id,
        type: "Microsoft.Compute/virtualMachines",
        body: { id, name: `v${number}`, location },
      });
    }
    expect(await Array.fromAsync(client.virtualMachines.listAll())).toHaveLength(61);
  });

  test("ends operations as planned: in each documented shape, failing at their end, never, or refused with 429", async () => {
    await makeDisk("data");
    const access = { access: "Read", durationInSeconds: 600 } as const;
    server.arm.faults.planShapes(() => "location");
    expect((await client.disks.grantAccess(group, "data", access, poll)).accessSAS).toMatch(/sig=/);
    server.arm.faults.planShapes(() => "both");
    const error = new ServiceError(409, "VMRestorePointInternalError", "It did not work out.");
    const failing = server.arm.faults.planOperation("disks/write", { kind: "fails", error });
    await expect(makeDisk("failing")).rejects.toThrow(/It did not work out/);
    expect(failing.happened()).toBe(1);
    expect((await client.disks.get(group, "failing")).provisioningState).toBe("Failed");
    server.arm.faults.planOperation("disks/write", { kind: "never-ends" });
    const aborted = { ...poll, abortSignal: AbortSignal.timeout(200) };
    const creationData = { createOption: "Empty" };
    await expect(
      client.disks.createOrUpdate(group, "endless", { location, creationData, diskSizeGB: 1 }, aborted),
    ).rejects.toMatchObject({ name: "AbortError" });
    const throttled = new ServiceError(429, "OperationNotAllowed", "Too many.", { "Retry-After": "1200" });
    server.arm.faults.planRequest(/^GET .*disks\/data$/, throttled);
    const refused = await client.disks.get(group, "data").then(undefined, (reason: unknown) => reason);
    expect(refused).toMatchObject({ statusCode: 429 });
    expect(await client.disks.get(group, "data")).toMatchObject({ name: "data" });
  });
});
