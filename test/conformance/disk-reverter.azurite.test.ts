import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";
import { BlobServiceClient } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { PageBlobReverter } from "../../shared/adapters/azure/page-blob-reverter.ts";
import { PageBlobSource } from "../../shared/adapters/azure/page-blob-source.ts";
import { StorageAccounts } from "../../shared/adapters/azure/storage-accounts.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { makePageBlobVm } from "../support/page-blob-vm.ts";
import { sampleRunId } from "../support/sample-rows.ts";
import { startTestAzurite, type TestAzurite } from "../support/test-azurite.ts";
import { diskReverterConformance } from "./disk-reverter.suite.ts";
import { requireSource } from "../../shared/core/vm.ts";

const sizeBytes = 1024 * 1024;
const signal = AbortSignal.timeout(230_000);
const leaseId = randomUUID();
let region: TestAzurite;
let source: PageBlobSource;
let reverter: PageBlobReverter;
beforeAll(async () => {
  region = await startTestAzurite();
  const accounts = await StorageAccounts.open([region.connectionString]);
  source = new PageBlobSource(accounts);
  reverter = new PageBlobReverter(accounts);
});
afterAll(async () => region.azurite.stop());

async function sevens() {
  const made = await makePageBlobVm(region.connectionString, sizeBytes, ["os"]);
  const [blob] = made.disks;
  const vm = made.vm(region.azurite.blobUrl);
  const [disk] = requireSource(vm, "page-blob").disks;
  if (blob === undefined || disk === undefined) throw new Error("The VM has no disk.");
  await blob.uploadPages(Buffer.alloc(sizeBytes, 7), 0, sizeBytes);
  return { blob, vm, disk: { name: disk.name, url: disk.url, sizeBytes }, container: made.container };
}

describe("Page blobs, written in place", () => {
  diskReverterConformance(async () => {
    const { blob, disk, container } = await sevens();
    return {
      reverter,
      disk,
      content: async () => blob.downloadToBuffer(),
      contentOf: async (reference) => Buffer.from(await source.read(reference, 0, sizeBytes, signal)),
      use: async (inUse) => {
        const lease = blob.getBlobLeaseClient(leaseId);
        await (inUse ? lease.acquireLease(-1) : lease.releaseLease());
      },
      snapshots: async () => {
        let count = 0;
        for await (const { snapshot } of container.listBlobsFlat({ includeSnapshots: true })) if (snapshot) count++;
        return count;
      },
    };
  });

  test("have safety snapshots that no backup takes for its own, and that a copy puts back", async () => {
    const { blob, vm, disk } = await sevens();
    await reverter.hold(disk, sampleRunId(1), signal);
    const kept = await reverter.keep(disk, sampleRunId(1), signal);
    expect(await source.listSnapshots(vm, signal)).toEqual([]);
    await reverter.write(disk, sampleRunId(1), 0, Buffer.alloc(512, 1), signal);
    await reverter.letGo(disk, sampleRunId(1), signal);
    // What `wayBack` asks the az command to do.
    expect(kept.wayBack).toMatch(/^az storage blob copy start .*--source-uri 'http/);
    const service = BlobServiceClient.fromConnectionString(region.connectionString);
    const container = service.getContainerClient(blob.containerName);
    const from = container.getPageBlobClient(blob.name).withSnapshot(kept.reference["snapshot"] ?? "");
    await (await blob.beginCopyFromURL(from.url)).pollUntilDone();
    expect((await blob.downloadToBuffer()).equals(Buffer.alloc(sizeBytes, 7))).toBe(true);
  });

  test("whose lease a person breaks are not written to any more, let go without complaint, and free", async () => {
    const { blob, disk } = await sevens();
    const run = sampleRunId(1);
    await reverter.hold(disk, run, signal);
    await blob.getBlobLeaseClient(randomUUID()).breakLease(0);
    const write = reverter.write(disk, run, 0, Buffer.alloc(512, 1), signal);
    await expect(write).rejects.toMatchObject({ code: "refused" });
    await expect(reverter.clear(disk, run, 0, 512, signal)).rejects.toMatchObject({ code: "refused" });
    expect(await reverter.isInUse(disk, sampleRunId(2), signal)).toBe(false);
    await reverter.letGo(disk, run, signal);
    await reverter.hold(disk, sampleRunId(2), signal);
    await reverter.letGo(disk, run, signal);
    expect(await reverter.isInUse(disk, run, signal)).toBe(true);
    expect((await blob.downloadToBuffer()).equals(Buffer.alloc(sizeBytes, 7))).toBe(true);
  });

  test("have a way back that a shell takes as it is meant, whatever container and blob are called", async () => {
    const accounts = await StorageAccounts.open([region.connectionString]);
    const container = BlobServiceClient.fromConnectionString(region.connectionString).getContainerClient("$root");
    await container.createIfNotExists();
    const blob = container.getPageBlobClient("it's $HOME.vhd");
    await blob.create(sizeBytes);
    const place = { account: blob.accountName, container: "$root", blob: blob.name };
    const disk = { name: parseDiskName("os"), url: accounts.urlOf(place), sizeBytes };
    const kept = await reverter.keep(disk, sampleRunId(1), signal);
    const { stdout } = await promisify(execFile)("sh", ["-c", `az() { printf '%s\\n' "$@"; }; ${kept.wayBack}`]);
    const words = stdout.split("\n");
    expect(words[words.indexOf("--destination-container") + 1]).toBe("$root");
    expect(words[words.indexOf("--destination-blob") + 1]).toBe(blob.name);
    expect(words[words.indexOf("--source-uri") + 1]).toBe(kept.snapshot);
  });
});
