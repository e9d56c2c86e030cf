/**
 * Restores by the service over real storage: into containers, over what stands there, and into the VM's own disks; what becomes of them
 * when the target goes away, the access is taken away, or two want the same place. qemu-img judges what is there in the end.
 */
import { execFile } from "node:child_process";
import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { BlobServiceClient, type PageBlobClient } from "@azure/storage-blob";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { startAzurite, type Azurite } from "../../../local/azurite/azurite-process.ts";
import type { VmName } from "../../../shared/core/ids.ts";
import type { RestoreRun, RestoreTarget } from "../../../shared/core/run.ts";
import { parseVhdFooter } from "../../../shared/core/vhd.ts";
import { reconcile } from "../../../shared/operations/reconcile.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import { requestRestore } from "../../../shared/operations/request-restore.ts";
import { createRealPipeline, type RealPipeline } from "../../support/real-pipeline.ts";
import { startStorageProxy, type StorageProxy } from "../../support/storage-proxy.ts";
import { haveTools, tool } from "../../support/tools.ts";

const mib = 1024 * 1024;
const run = promisify(execFile);
const key = () => randomBytes(64).toString("base64");
const never = new AbortController().signal;
/** The CHS geometry of a VHD cannot name this size: it comes to less. */
const osBytes = 25 * mib;
const dataBytes = 3 * mib + 512;

let source: Azurite;
let vaultRegion: Azurite;
let proxy: StorageProxy;
let service: BlobServiceClient;
let folder: string;
beforeAll(async () => {
  [source, vaultRegion] = await Promise.all([
    startAzurite({ accounts: [{ name: "restoresource", key: key() }] }),
    startAzurite({ accounts: [{ name: "restorevault", key: key() }] }),
  ]);
  proxy = await startStorageProxy(source.blobUrl);
  service = BlobServiceClient.fromConnectionString(source.connectionString("restoresource"));
  folder = await mkdtemp(join(tmpdir(), "farside-in-place-"));
});
afterEach(() => proxy.reset());
afterAll(async () => {
  await proxy.close();
  await Promise.all([source.stop(), vaultRegion.stop()]);
  await rm(folder, { recursive: true, force: true });
});

let pipeline: RealPipeline;
let vm: VmName;
let disks: { readonly os: PageBlobClient; readonly data: PageBlobClient };
/** What the disks held at the restore point. */
let images: { readonly os: Buffer; readonly data: Buffer };

beforeEach(async () => {
  const name = `vm-${randomUUID().slice(0, 8)}`;
  const container = service.getContainerClient(name);
  await container.create();
  disks = { os: container.getPageBlobClient("os"), data: container.getPageBlobClient("data") };
  await Promise.all([disks.os.create(osBytes), disks.data.create(dataBytes)]);
  images = { os: Buffer.alloc(osBytes), data: Buffer.alloc(dataBytes) };
  await put("os", 0, randomBytes(64 * 1024));
  await put("os", 10 * mib, randomBytes(2 * mib));
  await put("os", osBytes - 512, randomBytes(512));
  await put("data", 512, randomBytes(8192));
  await put("data", dataBytes - 512, randomBytes(512));
  pipeline = await createRealPipeline({
    accounts: [source.connectionString("restoresource").replace(source.blobUrl, proxy.url)],
    vaultConnection: vaultRegion.connectionString("restorevault"),
    vaultContainer: name,
    chunkSizeBytes: 256 * 1024,
    limits: { windowBytes: mib },
  });
  const url = (disk: string): string => `${proxy.url}/restoresource/${name}/${disk}`;
  vm = await pipeline.protect({
    name,
    disks: [
      { name: "os", url: url("os") },
      { name: "data", url: url("data") },
    ],
  });
  const { state } = await pipeline.backup(vm);
  if (state !== "succeeded") throw new Error(`The backup ${state}.`);
});

async function put(disk: "os" | "data", offset: number, content: Buffer): Promise<void> {
  content.copy(images[disk], offset);
  await disks[disk].uploadPages(content, offset, content.length);
}

const newTarget = () =>
  ({ kind: "container", url: `${proxy.url}/restoresource/to-${randomUUID().slice(0, 8)}` }) as const;
const revert = { kind: "revert" } as const;

async function ask(target: RestoreTarget) {
  return (await requestRestore(pipeline.context, { vm, point: { kind: "latest" }, target }, never)).run;
}

async function restore(target: RestoreTarget): Promise<RestoreRun> {
  const ended = await pipeline.drive((await ask(target)).runId);
  if (ended.kind !== "restore") throw new Error("It is no restore.");
  return ended;
}

function blobAt(target: { readonly url: string }, name: string): PageBlobClient {
  return service.getContainerClient(target.url.split("/").at(-1) ?? "").getPageBlobClient(name);
}

/** The names in a target's container; `snapshots`: and their snapshots. */
async function listed(target: { readonly url: string }, snapshots = false): Promise<readonly string[]> {
  const names: string[] = [];
  const container = service.getContainerClient(target.url.split("/").at(-1) ?? "");
  if (!(await container.exists())) return names;
  for await (const { name, snapshot } of container.listBlobsFlat({ includeSnapshots: snapshots })) {
    names.push(snapshot ? `${name}@` : name);
  }
  return names;
}

async function isWhole(blob: PageBlobClient): Promise<boolean> {
  if (!(await blob.exists())) return false;
  const size = (await blob.getProperties()).contentLength ?? 0;
  return parseVhdFooter(await blob.downloadToBuffer(size - 512, 512)).kind === "fixed";
}

describe.runIf(haveTools("qemu-img"))("A restore into a container", () => {
  test("is a VHD of full size to qemu-img, with the content of the restore point", async () => {
    const target = newTarget();
    expect(await restore(target)).toMatchObject({ state: "succeeded" });
    for (const name of ["os", "data"] as const) {
      const [vhd, raw] = [join(folder, `${name}.vhd`), join(folder, `${name}.raw`)];
      await writeFile(vhd, await blobAt(target, `${name}.vhd`).downloadToBuffer());
      await writeFile(raw, images[name]);
      const options = `driver=vpc,force_size_calc=current_size,file.filename=${vhd}`;
      const info = await run(tool("qemu-img"), ["info", "--output=json", "--image-opts", options]);
      expect(JSON.parse(info.stdout)).toMatchObject({ "virtual-size": images[name].length });
      const compared = await run(tool("qemu-img"), [
        "compare",
        "--image-opts",
        options,
        `driver=raw,file.filename=${raw}`,
      ]);
      expect(compared.stdout).toContain("Images are identical");
    }
  });
});

describe("Two restores to one target", () => {
  test("at once: one gets it, the other fails and changes nothing; a third is refused at once", async () => {
    const target = newTarget();
    const [first, second] = [await ask(target), await ask(target)];
    const ended = await Promise.all([pipeline.drive(first.runId), pipeline.drive(second.runId)]);
    expect(ended.map(({ state }) => state).sort()).toEqual(["failed", "succeeded"]);
    expect(ended.find(({ state }) => state === "failed")).toMatchObject({ error: { code: "target-exists" } });
    expect((await blobAt(target, "os.vhd").downloadToBuffer(0, osBytes)).equals(images.os)).toBe(true);
    await expect(ask(target)).rejects.toMatchObject({ code: "target-exists" });
  });
});

describe("A restore that loses its target half-way", () => {
  test("to somebody who deletes the container fails with the reason, and another one goes through", async () => {
    const target = newTarget();
    const deleted = { done: false };
    const write = pipeline.context.target.write.bind(pipeline.context.target);
    pipeline.context.target.write = async (...args) => {
      if (!deleted.done) {
        deleted.done = true;
        await service.getContainerClient(target.url.split("/").at(-1) ?? "").delete();
      }
      return write(...args);
    };
    expect(await restore(target)).toMatchObject({ state: "failed", error: { code: "not-found" } });
    expect(await listed(target)).toEqual([]);
    expect(await restore(target)).toMatchObject({ state: "succeeded" });
    expect((await blobAt(target, "data.vhd").downloadToBuffer(0, dataBytes)).equals(images.data)).toBe(true);
  });

  test("to credentials that are not accepted any more fails with the reason, has no disk that looks whole, and cleans up later", async () => {
    const target = newTarget();
    const denied = { kind: "answer", status: 403, code: "AuthorizationFailure" } as const;
    const isTarget = (path: string): boolean => path.includes(target.url.split("/").at(-1) ?? "?");
    let writes = 0;
    // From the third write on, also for the clean-up.
    const fault = proxy.inject(
      (request) => isTarget(request.path) && (writes > 2 || (request.kind === "put-page" && ++writes > 2)),
      denied,
      10_000,
    );
    const failed = await restore(target);
    expect(failed).toMatchObject({ state: "failed", error: { code: "forbidden" }, cleanUp: "pending" });
    expect(fault.hits).toBeGreaterThan(0);
    for (const name of ["os.vhd", "data.vhd"]) expect(await isWhole(blobAt(target, name))).toBe(false);
    proxy.reset();
    await reconcile(pipeline.context, {}, never);
    expect((await pipeline.context.catalog.runs.get(failed.runId, never))?.value).toMatchObject({ cleanUp: "done" });
    expect(await listed(target)).toEqual([]);
    expect(await restore(target)).toMatchObject({ state: "succeeded" });
  });
});

describe("A restore that may overwrite", () => {
  const stood = Buffer.alloc(mib, 5);
  async function occupied(): Promise<RestoreTarget & { readonly url: string }> {
    const target = newTarget();
    const blob = blobAt(target, "data.vhd");
    await service.getContainerClient(blob.containerName).create();
    await blob.create(stood.length);
    await blob.uploadPages(stood, 0, stood.length);
    await expect(ask(target)).rejects.toMatchObject({ code: "target-exists" });
    return { ...target, overwrite: true };
  }

  test("ends with the restored disk, and keeps what stood there no longer", async () => {
    const target = await occupied();
    expect(await restore(target)).toMatchObject({
      state: "succeeded",
      disks: [{}, { kept: expect.stringMatching(/\?snapshot=/) }],
    });
    expect((await blobAt(target, "data.vhd").downloadToBuffer(0, dataBytes)).equals(images.data)).toBe(true);
    expect(await listed(target, true)).toEqual(["data.vhd", "os.vhd"]);
  });

  test("puts back what stood there where it fails at the very end, after its first disk was finished", async () => {
    const target = await occupied();
    const finish = pipeline.context.target.finish.bind(pipeline.context.target);
    pipeline.context.target.finish = async (disk, ...rest) => {
      if (disk.name === "data") proxy.inject("put-page", { kind: "answer", status: 403, code: "AuthorizationFailure" });
      return finish(disk, ...rest);
    };
    expect(await restore(target)).toMatchObject({ state: "failed", error: { code: "forbidden" }, cleanUp: "done" });
    expect(await listed(target, true)).toEqual(["data.vhd"]);
    expect((await blobAt(target, "data.vhd").downloadToBuffer()).equals(stood)).toBe(true);
  });

  test("into the VM's own container replaces its disks; a backup waits meanwhile, and the next one is full and right", async () => {
    const container = disks.os.containerName;
    const own = service.getContainerClient(container).getPageBlobClient("os.vhd");
    await (await own.beginCopyFromURL(disks.os.url)).pollUntilDone();
    const name = `own-${randomUUID().slice(0, 8)}`;
    const disk = { name: "os", url: `${proxy.url}/restoresource/${container}/os.vhd` };
    vm = await pipeline.protect({ name, disks: [disk] });
    expect(await pipeline.backup(vm)).toMatchObject({ state: "succeeded" });
    await own.uploadPages(randomBytes(4096), 0, 4096);
    // Its identity is its creation's second.
    await new Promise((resolve) => void setTimeout(resolve, 1100));
    const protectedVm = (await pipeline.context.catalog.vms.get(vm, never))?.value;
    if (protectedVm === undefined) throw new Error("The VM is gone.");
    const conditions = async () => (await pipeline.context.source("page-blob").inspect(protectedVm, never)).conditions;
    const finish = pipeline.context.target.finish.bind(pipeline.context.target);
    let meanwhile: readonly string[] = [];
    pipeline.context.target.finish = async (...args) => {
      meanwhile = await conditions();
      return finish(...args);
    };
    const url = `${proxy.url}/restoresource/${container}`;
    expect(await restore({ kind: "container", url, overwrite: true })).toMatchObject({ state: "succeeded" });
    expect(meanwhile).toEqual(["provisioning"]);
    expect(await conditions()).toEqual([]);
    expect(await pipeline.backup(vm)).toMatchObject({ state: "succeeded", disks: [{ mode: "full", newChunks: 0 }] });
    expect((await own.downloadToBuffer(0, osBytes)).equals(images.os)).toBe(true);
  });

  test("leaves a leased blob alone, and says why", async () => {
    const target = await occupied();
    await blobAt(target, "data.vhd").getBlobLeaseClient().acquireLease(-1);
    const failed = await restore(target);
    expect(failed).toMatchObject({
      state: "failed",
      error: { code: "refused", message: expect.stringMatching(/leased/) },
    });
    expect(await listed(target, true)).toEqual(["data.vhd"]);
    expect((await blobAt(target, "data.vhd").downloadToBuffer()).equals(stood)).toBe(true);
  });
});

describe("A revert in place", () => {
  /** Written over, written where the point has zeros, cleared where it has data. */
  async function change(): Promise<void> {
    await disks.os.uploadPages(randomBytes(4096), 10 * mib + 8192, 4096);
    await disks.os.uploadPages(randomBytes(8192), 20 * mib, 8192);
    await disks.os.clearPages(11 * mib, 4096);
    await disks.data.uploadPages(randomBytes(512), dataBytes - 512, 512);
  }
  const holdsThePoint = async (): Promise<void> => {
    expect((await disks.os.downloadToBuffer()).equals(images.os)).toBe(true);
    expect((await disks.data.downloadToBuffer()).equals(images.data)).toBe(true);
  };

  test("writes what differs and nothing else; its safety snapshot goes back; the next incremental backup is right", async () => {
    await change();
    const changed = { os: await disks.os.downloadToBuffer(), data: await disks.data.downloadToBuffer() };
    const reverted = await restore(revert);
    expect(reverted).toMatchObject({
      state: "succeeded",
      cleanUp: "done",
      // Whole pages of 4 KiB; the last one of the data disk has 512 bytes.
      disks: [{ writtenBytes: 4096 + 8192 + 4096 }, { writtenBytes: 512 }],
    });
    await holdsThePoint();
    for (const [n, name] of (["os", "data"] as const).entries()) {
      const kept = disks[name].withSnapshot(reverted.safety?.[n]?.reference["snapshot"] ?? "");
      expect((await kept.downloadToBuffer()).equals(changed[name])).toBe(true);
      expect((await disks[name].getProperties()).leaseState).toBe("available");
    }
    await reconcile(pipeline.context, { sweep: "all" }, never);
    expect(await disks.os.withSnapshot(reverted.safety?.[0]?.reference["snapshot"] ?? "").exists()).toBe(true);

    await put("os", 5 * mib, randomBytes(4096));
    const next = await pipeline.backup(vm);
    expect(next).toMatchObject({ state: "succeeded", disks: [{ mode: "incremental" }, { mode: "incremental" }] });
    const target = newTarget();
    expect(await restore(target)).toMatchObject({ state: "succeeded" });
    expect((await blobAt(target, "os.vhd").downloadToBuffer(0, osBytes)).equals(images.os)).toBe(true);
    expect((await blobAt(target, "data.vhd").downloadToBuffer(0, dataBytes)).equals(images.data)).toBe(true);
  });

  test("that loses its access half-way says how to go on or back, and is gone on with by another one", async () => {
    await change();
    const denied = { kind: "answer", status: 403, code: "AuthorizationFailure" } as const;
    const fault = proxy.inject((request) => request.kind === "clear-page", denied);
    const failed = await restore(revert);
    expect(failed).toMatchObject({
      state: "failed",
      error: { code: "forbidden", message: expect.stringMatching(/half way .* revert again.*"farside run show/) },
      cleanUp: "done",
      safety: [{ disk: "os" }, { disk: "data" }],
    });
    expect(fault.hits).toBe(1);
    expect(await restore(revert)).toMatchObject({ state: "succeeded" });
    await holdsThePoint();
  });

  test("is refused while a machine runs on a disk, also where it was started after the request", async () => {
    await change();
    const lease = disks.os.getBlobLeaseClient();
    await lease.acquireLease(-1);
    await expect(ask(revert)).rejects.toMatchObject({ code: "refused", message: expect.stringContaining("leased") });
    await lease.releaseLease();
    const { runId } = await ask(revert);
    // Started between the request and the first step: the run is refused, and nothing is written.
    await lease.acquireLease(-1);
    expect(await pipeline.drive(runId)).toMatchObject({ state: "failed", error: { code: "refused" } });
    await lease.releaseLease();
    expect((await disks.os.downloadToBuffer()).equals(images.os)).toBe(false);
  });

  test("has the VM to itself: no backup while it runs, and none begins while a backup does", async () => {
    const { runId } = await ask(revert);
    await expect(requestBackup(pipeline.context, { vm }, never)).rejects.toMatchObject({ code: "run-active" });
    expect(await pipeline.drive(runId)).toMatchObject({ state: "succeeded", disks: [{ writtenBytes: 0 }, {}] });
    const backup = await requestBackup(pipeline.context, { vm }, never);
    await expect(ask(revert)).rejects.toMatchObject({ code: "run-active", details: { runId: backup.run.runId } });
    expect(await pipeline.drive(backup.run.runId)).toMatchObject({ state: "succeeded" });
  });

  test("is refused for a disk of another size, or another disk under its name", async () => {
    await disks.data.resize(dataBytes + mib);
    await expect(ask(revert)).rejects.toMatchObject({ code: "refused", message: expect.stringContaining("size") });
    await disks.data.resize(dataBytes);
    // Its identity is its creation's second.
    await new Promise((resolve) => void setTimeout(resolve, 1100));
    await disks.data.create(dataBytes);
    await expect(ask(revert)).rejects.toMatchObject({
      code: "refused",
      message: expect.stringContaining("not the one"),
    });
  });
});
