/** The guest state of trusted-launch VMs on the local ARM: exported beside the disk, and uploaded beside a new one. */
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { group, startManagedRegion, type ManagedRegion } from "../../support/managed-vm.ts";

const location = "westeurope";
const poll = { updateIntervalInMs: 1 };
const secured = { access: "Read", durationInSeconds: 600, getSecureVMGuestStateSAS: true } as const;

let region: ManagedRegion;
beforeEach(async () => {
  region = await startManagedRegion({ now: Date.now });
});
afterEach(() => region.stop());

const blob = (sas: string | undefined) =>
  new PageBlobClient(sas ?? "", new AnonymousCredential(), { retryOptions: { maxTries: 1 } });

describe("The guest state of a trusted-launch VM", () => {
  test("is exported from a snapshot and from a disk restore point, of the OS disk alone", async () => {
    const { client } = region;
    const vm = await region.addVm("safe", 2, { securityType: "TrustedLaunch" });
    const state = Buffer.from(await vm.readGuestState());
    const [osDisk = "", dataDisk = ""] = vm.diskIds;
    for (const [name, sourceResourceId] of [
      ["os", osDisk],
      ["data", dataDisk],
    ] as const) {
      const creationData = { createOption: "Copy", sourceResourceId };
      await client.snapshots.createOrUpdate(group, name, { location, incremental: true, creationData }, poll);
    }
    expect((await client.snapshots.get(group, "os")).securityProfile).toEqual({ securityType: "TrustedLaunch" });
    const both = await client.snapshots.grantAccess(group, "os", secured, poll);
    expect(both.securityDataAccessSAS).not.toBe(both.accessSAS);
    expect((await blob(both.securityDataAccessSAS).downloadToBuffer()).equals(state)).toBe(true);
    const alone = await client.snapshots.grantAccess(group, "os", { access: "Read", durationInSeconds: 600 }, poll);
    expect(alone.securityDataAccessSAS).toBeUndefined();
    await client.snapshots.revokeAccess(group, "os", poll);
    await expect(blob(both.securityDataAccessSAS).getProperties()).rejects.toMatchObject({ statusCode: 403 });
    await expect(client.snapshots.grantAccess(group, "data", secured, poll)).rejects.toMatchObject({ statusCode: 400 });

    const source = { id: vm.resourceId };
    await client.restorePointCollections.createOrUpdate(group, "safe", { location, source });
    const made = await client.restorePoints.create(group, "safe", "one", {}, poll);
    expect(made.sourceMetadata?.securityProfile?.securityType).toBe("TrustedLaunch");
    const points = await Array.fromAsync(client.diskRestorePoint.listByRestorePoint(group, "safe", "one"));
    const osPoint = points.find((point) => point.securityProfile?.securityType === "TrustedLaunch")?.name ?? "";
    const access = await client.diskRestorePoint.grantAccess(group, "safe", "one", osPoint, secured, poll);
    expect((await blob(access.securityDataAccessSAS).downloadToBuffer()).equals(state)).toBe(true);
  });

  test("is uploaded with a second SAS to a disk that was prepared for it, and copied with the disk", async () => {
    const { client, server } = region;
    const creationData = { createOption: "UploadPreparedSecure", uploadSizeBytes: 32 * 1024 ** 2 + 512 };
    const securityProfile = { securityType: "TrustedLaunch" };
    await expect(client.disks.createOrUpdate(group, "plain", { location, creationData }, poll)).rejects.toMatchObject({
      statusCode: 400,
    });
    const model = { location, osType: "Linux", hyperVGeneration: "V2", creationData, securityProfile } as const;
    const disk = await client.disks.createOrUpdate(group, "restored", model, poll);
    const write = { access: "Write", durationInSeconds: 600, getSecureVMGuestStateSAS: true } as const;
    const access = await client.disks.grantAccess(group, "restored", write, poll);
    await blob(access.accessSAS).uploadPages(Buffer.alloc(512, 1), 0, 512);
    await blob(access.securityDataAccessSAS).uploadPages(Buffer.alloc(512, 2), 0, 512);
    await client.disks.revokeAccess(group, "restored", poll);
    expect((await client.disks.get(group, "restored")).diskState).toBe("Unattached");

    const copy = { createOption: "Copy", sourceResourceId: disk.id ?? "" };
    const copied = await client.disks.createOrUpdate(group, "copied", { location, creationData: copy }, poll);
    expect(copied).toMatchObject({ securityProfile, hyperVGeneration: "V2" });
    const { bytes, guestState } = server.arm.resources.require(copied.id ?? "");
    if (bytes === undefined || guestState === undefined) throw new Error("Both are copied.");
    expect((await server.arm.store.read(bytes, 0, 1))[0]).toBe(1);
    expect((await server.arm.store.read(guestState, 0, 1))[0]).toBe(2);
  });
});
