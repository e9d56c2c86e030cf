/** What the command line does to disks without the service: restoring, importing, seeding. */
import { describe, expect, test } from "vitest";
import { MemoryDiskTarget } from "../../../../shared/adapters/memory/memory-disk-target.ts";
import { readImage } from "../../../../shared/adapters/memory/sparse-image.ts";
import { parseDiskName } from "../../../../shared/core/ids.ts";
import type { Manifest } from "../../../../shared/core/vault/manifest.ts";
import { importDisk } from "../../../../shared/operations/manage/import-disk.ts";
import { restoreDisks } from "../../../../shared/operations/restore/restore-disks.ts";
import { seedVault } from "../../../../shared/operations/manage/seed-vault.ts";
import { objectName, zeroObjectId } from "../../../../shared/core/vault/object-id.ts";
import { diskSegments, readDiskIndex, readSegment } from "../../../../shared/operations/vault/read-disk.ts";
import type { DiskTarget } from "../../../../shared/ports/disk-target.ts";
import { memoryImage } from "../../../support/memory-image.ts";
import { sampleRunId } from "../../../support/sample-rows.ts";
import {
  backUp,
  collect,
  kib,
  makeVault,
  noise,
  signal,
  writeDisk,
  newBackup,
} from "../../../support/vault/vault-fixture.ts";

const chunk = 256 * kib;
const container = "https://target.example/restored";
const runId = sampleRunId(1);

/** Data, a hole of two chunks, data, and an end that fills no chunk. */
function content(seed: string): Uint8Array {
  const bytes = new Uint8Array(5 * chunk + 512);
  bytes.set(noise(`${seed}-a`, chunk + 100), 0);
  bytes.set(noise(`${seed}-b`, chunk + 512), 4 * chunk);
  return bytes;
}

function restored(target: MemoryDiskTarget, disk: string): Uint8Array | undefined {
  const image = target.finished(`${container}/${disk}.vhd`);
  return image === undefined ? undefined : readImage(image, 0, image.sizeBytes);
}

const input = (manifest: Manifest, target: DiskTarget, onProgress: (bytes: number) => void = () => undefined) => ({
  disks: manifest.disks.map((disk) => ({ manifest, disk })),
  restoreId: () => runId,
  allowDamaged: false,
  urlOf: (disk: Manifest["disks"][number]["name"]) => target.locate(container, disk),
  onProgress: (_disk: string, bytes: number) => onProgress(bytes),
});

describe("Restoring disks from the vault alone", () => {
  test("gives their bytes back, and counts what it went through", async () => {
    const vault = await makeVault();
    const [os, data] = [content("os"), content("data")];
    const manifest = await backUp(vault, "web1", { os, data });
    const target = new MemoryDiskTarget();
    let seen = 0;
    const done = await restoreDisks(
      vault.vault,
      target,
      input(manifest, target, (bytes) => (seen += bytes)),
      signal,
    );
    expect(restored(target, "os")).toEqual(os);
    expect(restored(target, "data")).toEqual(data);
    expect(seen).toBe(os.length + data.length);
    expect(done.lost).toEqual([]);
    expect(done.disks).toMatchObject([
      { name: "os", url: `${container}/os.vhd`, sizeBytes: os.length, writtenBytes: 3 * chunk + 512 },
      { name: "data" },
    ]);
  });

  test("looks at every target before it writes to any", async () => {
    const vault = await makeVault();
    const manifest = await backUp(vault, "web1", { os: content("os"), data: content("data") });
    const target = new MemoryDiskTarget();
    target.occupy(`${container}/data.vhd`, 512);
    await expect(restoreDisks(vault.vault, target, input(manifest, target), signal)).rejects.toMatchObject({
      code: "target-exists",
      details: { disk: "data" },
    });
    expect(restored(target, "os")).toBeUndefined();
    expect(target.unfinished()).toEqual([]);
  });

  test.each([
    ["a chunk", "chunks/", 4 * chunk, 5 * chunk],
    ["all segments", "index/", 0, 5 * chunk + 512],
  ])("names disk and bytes where %s is gone, and leaves no disk at all", async (what, prefix, fromByte, toByte) => {
    const vault = await makeVault();
    const os = content("os");
    const manifest = await backUp(vault, "web1", { os, data: content("data") });
    const lost = what === "a chunk" ? await chunkAt(manifest) : undefined;
    for (const { name } of await collect(vault.store.list(prefix, signal))) {
      if (lost === undefined || lost.has(name)) await vault.store.remove(name, {}, signal);
    }
    const target = new MemoryDiskTarget();
    await expect(restoreDisks(vault.vault, target, input(manifest, target), signal)).rejects.toMatchObject({
      code: "vault-corrupt",
      details: { disk: what === "a chunk" ? "data" : "os", fromByte, toByte },
    });
    // Unfinished work stays: with --allow-damaged the same restore goes on with it.
    expect(target.unfinished()).toContain(`${container}/os.vhd`);
    expect(restored(target, "os")).toBeUndefined();

    /** The name of the chunk of `data` at 4 × 256 KiB: what a vault with only the rest of it has not. */
    async function chunkAt({ vmName }: Manifest): Promise<ReadonlySet<string>> {
      const rest = await makeVault(undefined, "test");
      const data = content("data");
      data.fill(0, 4 * chunk, 5 * chunk);
      await writeDisk(rest, newBackup(vmName, rest.clock.now()), "data", data);
      await writeDisk(rest, newBackup(vmName, rest.clock.now()), "os", os);
      const kept = new Set((await collect(rest.store.list("chunks/", signal))).map((blob) => blob.name));
      const all = await collect(vault.store.list("chunks/", signal));
      return new Set(all.map((blob) => blob.name).filter((name) => !kept.has(name)));
    }
  });

  test("keeps its work when it is interrupted, and the same restore goes on where it stood", async () => {
    const vault = await makeVault();
    const os = content("os");
    const manifest = await backUp(vault, "web1", { os });
    const target = new MemoryDiskTarget();
    const interrupted = new AbortController();
    const stopAtOnce = (): void => interrupted.abort(new Error("Ctrl-C"));
    await expect(
      restoreDisks(vault.vault, target, { ...input(manifest, target, stopAtOnce), parallelism: 1 }, interrupted.signal),
    ).rejects.toThrow("Ctrl-C");
    expect(restored(target, "os")).toBeUndefined();
    const done = await restoreDisks(vault.vault, target, input(manifest, target), signal);
    expect(done.disks).toMatchObject([{ name: "os", resumedBytes: chunk }]);
    expect(restored(target, "os")).toEqual(os);
  });

  test("goes on wherever it is interrupted, and ends with the same bytes", async () => {
    const vault = await makeVault();
    const [os, data] = [content("os"), content("data")];
    const manifest = await backUp(vault, "web1", { os, data });
    const target = new MemoryDiskTarget();
    let tries = 0;
    for (let isDone = false; !isDone; tries++) {
      const interrupted = new AbortController();
      let calls = 0;
      const stopAtSecond = (): void => {
        if (++calls === 3) interrupted.abort(new Error("Ctrl-C"));
      };
      const one = { ...input(manifest, target, stopAtSecond), parallelism: 1, recordEveryBytes: 1 };
      isDone = await restoreDisks(vault.vault, target, one, interrupted.signal).then(
        () => true,
        () => false,
      );
    }
    expect(tries).toBeGreaterThan(3);
    expect(restored(target, "os")).toEqual(os);
    expect(restored(target, "data")).toEqual(data);
  });
});

describe("Restoring what is damaged, where that is accepted,", () => {
  const accepting = (manifest: Manifest, target: DiskTarget) => ({ ...input(manifest, target), allowDamaged: true });

  test("fills lost chunks with zeros, lists every range, and finds them again when it goes on", async () => {
    const vault = await makeVault();
    const os = content("os");
    const manifest = await backUp(vault, "web1", { os });
    const [disk] = manifest.disks;
    if (disk === undefined) throw new Error("no disk");
    const [segment] = diskSegments(await readDiskIndex(vault.vault, disk, signal));
    if (segment === undefined) throw new Error("no segment");
    const ids = await readSegment(vault.vault, segment, signal);
    for (const at of [0, 1, 4]) await vault.store.remove(objectName("data", ids[at] ?? zeroObjectId), {}, signal);
    const target = new MemoryDiskTarget();
    const interrupted = new AbortController();
    let calls = 0;
    const late = {
      ...accepting(manifest, target),
      recordEveryBytes: 1,
      onProgress: () => void (++calls === 3 && interrupted.abort(new Error("Ctrl-C"))),
    };
    await expect(restoreDisks(vault.vault, target, late, interrupted.signal)).rejects.toThrow("Ctrl-C");
    const done = await restoreDisks(vault.vault, target, accepting(manifest, target), signal);
    expect(done.disks[0]?.damaged).toMatchObject([
      { fromByte: 0, toByte: 2 * chunk, reason: "missing" },
      { fromByte: 4 * chunk, toByte: 5 * chunk, reason: "missing" },
    ]);
    os.fill(0, 0, 2 * chunk);
    os.fill(0, 4 * chunk, 5 * chunk);
    expect(restored(target, "os")).toEqual(os);
  });

  test("fills a lost segment with zeros", async () => {
    const vault = await makeVault();
    const os = content("os");
    const manifest = await backUp(vault, "web1", { os });
    const [segment] = diskSegments(await readDiskIndex(vault.vault, manifest.disks[0] ?? never(), signal));
    await vault.store.remove(objectName("segment", segment?.id ?? zeroObjectId), {}, signal);
    const target = new MemoryDiskTarget();
    const done = await restoreDisks(vault.vault, target, accepting(manifest, target), signal);
    expect(done.disks[0]?.damaged).toMatchObject([{ fromByte: 0, toByte: os.length, reason: "missing" }]);
    expect(restored(target, "os")).toEqual(new Uint8Array(os.length));
  });

  test("leaves out a disk whose index is lost, and restores the others", async () => {
    const vault = await makeVault();
    const data = content("data");
    const manifest = await backUp(vault, "web1", { os: content("os"), data });
    await vault.store.remove(objectName("disk-index", manifest.disks[0]?.index ?? zeroObjectId), {}, signal);
    const target = new MemoryDiskTarget();
    const done = await restoreDisks(vault.vault, target, accepting(manifest, target), signal);
    expect(done.lost).toMatchObject([{ name: "os", error: { code: "vault-corrupt" } }]);
    expect(done.disks).toMatchObject([{ name: "data", damaged: [] }]);
    expect(restored(target, "data")).toEqual(data);
    expect(target.unfinished()).toEqual([]);
    const only = { ...accepting(manifest, target), disks: accepting(manifest, target).disks.slice(0, 1) };
    await expect(restoreDisks(vault.vault, target, only, signal)).rejects.toMatchObject({ code: "vault-corrupt" });
  });
});

function never(): never {
  throw new Error("There is no disk.");
}

describe("Importing an image", () => {
  const place = { name: parseDiskName("os"), sizeBytes: content("os").length, url: `${container}/os.vhd` };

  test("writes its bytes and counts all of them", async () => {
    const target = new MemoryDiskTarget();
    let seen = 0;
    const image = memoryImage(content("os"));
    await importDisk(target, { image, place, runId, onProgress: (bytes) => (seen += bytes) }, signal);
    expect(restored(target, "os")).toEqual(content("os"));
    expect(seen).toBe(place.sizeBytes);
  });

  test("overwrites nothing", async () => {
    const target = new MemoryDiskTarget();
    target.occupy(place.url, 512);
    const image = memoryImage(content("os"));
    await expect(
      importDisk(target, { image, place, runId, onProgress: () => undefined }, signal),
    ).rejects.toMatchObject({
      code: "target-exists",
    });
    expect(restored(target, "os")).toHaveLength(512);
  });

  test("leaves nothing behind where the image cannot be read to its end", async () => {
    const target = new MemoryDiskTarget();
    const image = memoryImage(content("os"));
    const torn = {
      ...image,
      read: (offset: number, length: number, inner: AbortSignal) =>
        offset > chunk ? Promise.reject(new Error("The file became shorter.")) : image.read(offset, length, inner),
    };
    await expect(
      importDisk(target, { image: torn, place, runId, onProgress: () => undefined }, signal),
    ).rejects.toThrow("The file became shorter.");
    expect(target.unfinished()).toEqual([]);
    expect(restored(target, "os")).toBeUndefined();
  });
});

describe("Seeding a vault", () => {
  const seed = async (vault: Awaited<ReturnType<typeof makeVault>>, bytes: Uint8Array) =>
    seedVault(
      vault.vault,
      { image: memoryImage(bytes), clock: vault.clock, parallelism: 4, onProgress: () => undefined },
      signal,
    );

  test("stores what a backup of the same disk then finds there", async () => {
    const vault = await makeVault();
    const counts = await seed(vault, content("os"));
    expect(counts).toMatchObject({ chunks: 4, newChunks: 4, reusedChunks: 0, newBytes: 3 * chunk + 512 });
    expect(counts.storedBytes).toBeGreaterThan(2 * chunk);
    const names = async (prefix: string) => (await collect(vault.store.list(prefix, signal))).map((blob) => blob.name);
    const segments = await names("index/");
    expect(segments).toHaveLength(1);

    vault.clock.advance(1000);
    const manifest = await backUp(vault, "web1", { os: content("os") });
    expect(manifest.disks).toMatchObject([{ newChunks: 0, storedBytes: 0 }]);
    expect(await names("index/")).toEqual(expect.arrayContaining(segments));
  });

  test("again stores nothing, and leaves no work behind", async () => {
    const vault = await makeVault();
    await seed(vault, content("os"));
    vault.clock.advance(1000);
    expect(await seed(vault, content("os"))).toMatchObject({
      chunks: 4,
      newChunks: 0,
      reusedChunks: 4,
      storedBytes: 0,
    });
    expect(await collect(vault.store.list("work/", signal))).toEqual([]);
  });

  test("of nothing but zeros stores nothing", async () => {
    const vault = await makeVault();
    expect(await seed(vault, new Uint8Array(3 * chunk))).toEqual({
      chunks: 0,
      newChunks: 0,
      newBytes: 0,
      storedBytes: 0,
      reusedChunks: 0,
    });
    expect(await collect(vault.store.list("chunks/", signal))).toEqual([]);
  });
});
