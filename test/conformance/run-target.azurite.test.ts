import { randomUUID } from "node:crypto";
import { BlobServiceClient, type PageBlobClient } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PageBlobTarget } from "../../shared/adapters/azure/page-blob-target.ts";
import { StorageAccounts } from "../../shared/adapters/azure/storage-accounts.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { parseVhdFooter } from "../../shared/core/vhd.ts";
import type { TargetDisk } from "../../shared/ports/disk-target.ts";
import { sampleRunId } from "../support/sample-rows.ts";
import { startTestAzurite, type TestAzurite } from "../support/test-azurite.ts";
import { runTargetConformance } from "./run-target.suite.ts";

const signal = AbortSignal.timeout(230_000);
const leaseId = randomUUID();
let region: TestAzurite;
let service: BlobServiceClient;
let target: PageBlobTarget;
beforeAll(async () => {
  region = await startTestAzurite();
  service = BlobServiceClient.fromConnectionString(region.connectionString);
  target = new PageBlobTarget(await StorageAccounts.open([region.connectionString]));
});
afterAll(async () => region.azurite.stop());

const newPlace = (): string => `${service.url.replace(/\/$/, "")}/restored-${randomUUID()}`;
function blobOf(disk: TargetDisk): PageBlobClient {
  const [, , container = "", ...name] = new URL(disk.url).pathname.split("/");
  return service.getContainerClient(container).getPageBlobClient(name.join("/"));
}

async function occupy(disk: TargetDisk, content: Buffer): Promise<void> {
  const blob = blobOf(disk);
  await service.getContainerClient(blob.containerName).createIfNotExists();
  await blob.create(content.length, { metadata: { owner: "somebody" } });
  await blob.uploadPages(content, 0, content.length);
}

async function snapshotsOf(disk: TargetDisk): Promise<number> {
  let count = 0;
  const container = service.getContainerClient(blobOf(disk).containerName);
  if (!(await container.exists())) return 0;
  for await (const { snapshot } of container.listBlobsFlat({ includeSnapshots: true })) if (snapshot) count++;
  return count;
}

describe("Page blobs as the target of runs", () => {
  runTargetConformance(async () =>
    Promise.resolve({
      target,
      place: newPlace(),
      standing: async (disk) => {
        if (!(await blobOf(disk).exists())) return undefined;
        const content = await blobOf(disk).downloadToBuffer();
        return parseVhdFooter(content.subarray(-512)).kind === "fixed" ? content.subarray(0, -512) : content;
      },
      occupy,
      use: async (disk, inUse) => {
        const lease = blobOf(disk).getBlobLeaseClient(leaseId);
        await (inUse ? lease.acquireLease(-1) : lease.releaseLease());
      },
      keptAt: snapshotsOf,
    }),
  );

  const diskAt = (): TargetDisk => {
    const name = parseDiskName("os");
    return { name, sizeBytes: 1024 * 1024, url: target.locate(newPlace(), name) };
  };

  test("give a blob that was replaced and put back its own metadata again", async () => {
    const disk = diskAt();
    await occupy(disk, Buffer.alloc(4096, 7));
    await target.replace(disk, sampleRunId(1), signal);
    await target.takeBack(disk, sampleRunId(1), signal);
    await target.takeBack(disk, sampleRunId(1), signal);
    expect((await blobOf(disk).getProperties()).metadata).toEqual({ owner: "somebody" });
    // A put-back blob is one of its own: what is written to it stays, and its snapshots are gone.
    await blobOf(disk).uploadPages(Buffer.alloc(512, 8), 0, 512);
    expect((await blobOf(disk).downloadToBuffer()).subarray(510, 514)).toEqual(Buffer.from([8, 8, 7, 7]));
  });

  test("leave a blob that is no page blob as it is", async () => {
    const disk = diskAt();
    const container = service.getContainerClient(blobOf(disk).containerName);
    await container.create();
    await container.getBlockBlobClient("os.vhd").upload("text", 4);
    await expect(target.replace(disk, sampleRunId(1), signal)).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("no page blob"),
    });
    expect((await container.getBlockBlobClient("os.vhd").downloadToBuffer()).toString()).toBe("text");
  });

  test("say where it is kept when somebody has put something else in the place of an unfinished disk", async () => {
    const disk = diskAt();
    await occupy(disk, Buffer.alloc(4096, 7));
    const kept = await target.replace(disk, sampleRunId(1), signal);
    await occupy(disk, Buffer.alloc(512, 3));
    await expect(target.takeBack(disk, sampleRunId(1), signal)).rejects.toMatchObject({
      code: "not-found",
      message: expect.stringContaining(kept ?? "nowhere"),
    });
    expect((await blobOf(disk).downloadToBuffer())[0]).toBe(3);
    expect(await snapshotsOf(disk)).toBe(1);
  });
});
