import { execFile, spawnSync } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BlobServiceClient, type PageBlobClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { PageBlobTarget } from "../../shared/adapters/azure/page-blob-target.ts";
import { StorageAccounts } from "../../shared/adapters/azure/storage-accounts.ts";
import { parseDiskName } from "../../shared/core/ids.ts";
import { parseVhdFooter } from "../../shared/core/vhd.ts";
import type { TargetDisk } from "../../shared/ports/disk-target.ts";
import { sampleRunId } from "../support/sample-rows.ts";
import { startStorageProxy, throughProxy, type StorageProxy } from "../support/storage-proxy.ts";
import { startTestAzurite, type TestAzurite } from "../support/test-azurite.ts";
import { diskTargetConformance } from "./disk-target.suite.ts";

const mib = 1024 * 1024;
const signal = AbortSignal.timeout(230_000);
const runId = sampleRunId(1);
const run = promisify(execFile);

let region: TestAzurite;
let proxy: StorageProxy;
let target: PageBlobTarget;
beforeAll(async () => {
  region = await startTestAzurite();
  proxy = await startStorageProxy(region.azurite.blobUrl);
  target = new PageBlobTarget(await StorageAccounts.open([throughProxy(region.connectionString, proxy)]));
});
afterEach(() => proxy.reset());
afterAll(async () => {
  await proxy.close();
  await region.azurite.stop();
});

const place = (): string => `${proxy.url}/${region.account}/restored-${randomUUID()}`;
function blobOf(disk: TargetDisk): PageBlobClient {
  const [, , container = "", ...name] = new URL(disk.url).pathname.split("/");
  const service = BlobServiceClient.fromConnectionString(region.connectionString);
  return service.getContainerClient(container).getPageBlobClient(name.join("/"));
}
const diskAt = (sizeBytes: number): TargetDisk => {
  const name = parseDiskName("os");
  return { name, sizeBytes, url: target.locate(place(), name) };
};

describe("Page blobs as a target", () => {
  diskTargetConformance(async () =>
    Promise.resolve({
      target,
      place: place(),
      finished: async (disk) => {
        const content = await blobOf(disk).downloadToBuffer();
        const footer = parseVhdFooter(content.subarray(-512));
        if (footer.kind !== "fixed" || footer.sizeBytes !== content.length - 512) return undefined;
        return content.subarray(0, -512);
      },
    }),
  );

  test("refuse a container that is none, or of another account", () => {
    const name = parseDiskName("os");
    for (const url of ["https://other.blob.core.windows.net/x", `${proxy.url}/srcacct`, `${proxy.url}/srcacct/a/b`]) {
      expect(() => target.locate(url, name)).toThrow(expect.objectContaining({ code: "bad-input" }));
    }
    expect(target.locate(`${proxy.url}/srcacct/abc/`, name)).toBe(`${proxy.url}/srcacct/abc/os.vhd`);
  });

  test("leave what somebody else put there as it is", async () => {
    const disk = diskAt(mib);
    const blob = blobOf(disk);
    await BlobServiceClient.fromConnectionString(region.connectionString)
      .getContainerClient(blob.containerName)
      .create();
    await blob.create(mib + 512);
    await expect(target.prepare(disk, runId, signal)).rejects.toMatchObject({ code: "target-exists" });
    await target.discard(disk, runId, signal);
    expect((await blob.getProperties()).contentLength).toBe(mib + 512);
  });

  test("skip zeros: nothing is sent for them, and no page is taken up", async () => {
    const disk = diskAt(8 * mib);
    await target.prepare(disk, runId, signal);
    await target.write(disk, runId, 0, Buffer.alloc(4 * mib), signal);
    expect(proxy.count("put-page")).toBe(0);
    const content = Buffer.alloc(4 * mib);
    content.fill(1, mib, mib + 4096);
    await target.write(disk, runId, 4 * mib, content, signal);
    const ranges = [];
    for await (const { start, end } of blobOf(disk).listPageRanges()) ranges.push([start, end]);
    expect(ranges).toEqual([[5 * mib, 5 * mib + 4095]]);
  });

  test.each([
    ["answers are lost", { kind: "reset", when: "after" }],
    ["connections break", { kind: "reset", when: "before" }],
    ["the service is busy", { kind: "answer", status: 503, code: "ServerBusy" }],
  ] as const)("end up right where %s at every kind of request", async (_, fault) => {
    const disk = diskAt(mib);
    const content = randomBytes(mib);
    const faults = (["create-page-blob", "put-page", "other", "head"] as const).map((kind) =>
      proxy.inject(kind, fault),
    );
    await target.prepare(disk, runId, signal);
    await target.write(disk, runId, 0, content, signal);
    await target.finish(disk, runId, signal);
    expect(faults.map(({ hits }) => hits)).toEqual([1, 1, 1, 1]);
    const blob = await blobOf(disk).downloadToBuffer();
    expect(blob.subarray(0, mib).equals(content)).toBe(true);
    expect(parseVhdFooter(blob.subarray(mib))).toEqual({ kind: "fixed", sizeBytes: mib });
  });
});

const hasQemuImg = spawnSync("qemu-img", ["--version"]).status === 0;

describe.skipIf(!hasQemuImg)("qemu-img, asked about a restored disk", () => {
  test.each([100 * mib, 3 * mib + 512])("of %d bytes, finds a VHD of just that size and content", async (sizeBytes) => {
    const folder = await mkdtemp(join(tmpdir(), "farside-vhd-"));
    try {
      const disk = diskAt(sizeBytes);
      const [head, tail] = [randomBytes(4096), randomBytes(512)];
      await target.prepare(disk, runId, signal);
      await target.write(disk, runId, 0, head, signal);
      await target.write(disk, runId, sizeBytes - 512, tail, signal);
      await target.finish(disk, runId, signal);
      const vhd = join(folder, "os.vhd");
      await writeFile(vhd, await blobOf(disk).downloadToBuffer());
      const { stdout } = await run("qemu-img", ["info", "--output=json", "-f", "vpc", vhd]);
      expect((JSON.parse(stdout) as Record<string, unknown>)["virtual-size"]).toBe(sizeBytes);
      const raw = join(folder, "os.raw");
      await run("qemu-img", ["convert", "-f", "vpc", "-O", "raw", vhd, raw]);
      const image = await readFile(raw);
      expect(image.length).toBe(sizeBytes);
      expect(image.subarray(0, 4096).equals(head)).toBe(true);
      expect(image.subarray(-512).equals(tail)).toBe(true);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});
