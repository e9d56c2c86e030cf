import fc from "fast-check";
import { appendFile, mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { DiskStore } from "../../../../local/arm/disks/disk-store.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "farside-disks-"));
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const pages = 16;
const sizeBytes = pages * 512;

const step = fc.oneof(
  fc.record({
    kind: fc.constant("write" as const),
    page: fc.nat(pages - 4),
    count: fc.integer({ min: 1, max: 4 }),
    fill: fc.integer({ min: 1, max: 255 }),
  }),
  fc.record({ kind: fc.constant("clear" as const), page: fc.nat(pages - 4), count: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant("snapshot" as const) }),
  // The process is killed: another life begins on the folder, and nothing was closed.
  fc.record({ kind: fc.constant("kill" as const) }),
);

function pairs<T>(things: readonly T[]): (readonly [T, T])[] {
  return things.flatMap((one, at) => things.slice(at).map((other) => [one, other] as const));
}

describe("A store of disks", () => {
  test("gives every snapshot the bytes of its instant, and exactly the pages that were touched between any two, through every kill", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        let store = await DiskStore.open(folder);
        const lives = [store];
        let disk = store.create(sizeBytes);
        const content = new Uint8Array(sizeBytes);
        const taken: { bytes: typeof disk; content: Uint8Array; at: number }[] = [];
        const touched: (Set<number> | undefined)[] = [];
        for (const [at, one] of steps.entries()) {
          if (one.kind === "kill") {
            store = await DiskStore.open(folder);
            lives.push(store);
            continue;
          }
          if (one.kind === "snapshot") {
            const made = store.snapshot(disk);
            disk = made.disk;
            taken.push({ bytes: made.snapshot, content: content.slice(), at });
            continue;
          }
          touched[at] = new Set(Array.from({ length: one.count }, (_, page) => one.page + page));
          const [from, to] = [one.page * 512, (one.page + one.count) * 512];
          content.fill(one.kind === "write" ? one.fill : 0, from, to);
          if (one.kind === "write") await store.write(disk, from, content.subarray(from, to));
          else store.clear(disk, from, to - from);
        }
        for (const one of taken) {
          expect(Buffer.from(await store.read(one.bytes, 0, sizeBytes))).toEqual(Buffer.from(one.content));
        }
        for (const [older, newer] of pairs(taken)) {
          const changed = store.changed(older.bytes, newer.bytes, 0, sizeBytes) ?? [];
          const seen = changed.flatMap(({ start, end }) =>
            Array.from({ length: (end - start) / 512 }, (_, page) => start / 512 + page),
          );
          const expected = new Set(touched.slice(older.at, newer.at).flatMap((set) => [...(set ?? [])]));
          expect(seen).toEqual([...expected].toSorted((a, b) => a - b));
        }
        for (const life of lives) await life.close();
      }),
      { numRuns: 60 },
    );
  });

  test("has no difference to give between snapshots of two disks, nor from a newer one to an older one", async () => {
    const store = await DiskStore.open(folder);
    const one = store.snapshot(store.create(sizeBytes));
    const later = store.snapshot(one.disk);
    const other = store.snapshot(store.create(sizeBytes));
    expect(store.changed(one.snapshot, other.snapshot, 0, sizeBytes)).toBeUndefined();
    expect(store.changed(later.snapshot, one.snapshot, 0, sizeBytes)).toBeUndefined();
    expect(store.changed(one.snapshot, later.snapshot, 0, sizeBytes)).toEqual([]);
    await store.close();
  });

  test("keeps a disk of 32 TiB in the room of what was written to it, over two lives of the process", async () => {
    const size = 32 * 1024 ** 4;
    const first = await DiskStore.open(folder);
    const disk = first.create(size);
    await first.write(disk, size - 1024, new Uint8Array(1024).fill(7));
    await first.close();
    const second = await DiskStore.open(folder);
    expect(await second.read(disk, size - 1536, 1536)).toEqual(new Uint8Array(1536).fill(7, 512));
    const file = await stat(join(folder, `${disk.layers[0]}.layer`));
    expect(file.blocks * 512).toBeLessThan(1024 ** 2);
    await second.keepOnly([]);
    await expect(stat(join(folder, `${disk.layers[0]}.layer`))).rejects.toMatchObject({ code: "ENOENT" });
    await second.close();
  });

  test("writes no layer that a snapshot stands on", async () => {
    const store = await DiskStore.open(folder);
    const { snapshot } = store.snapshot(store.create(sizeBytes));
    await expect(store.write(snapshot, 0, new Uint8Array(512))).rejects.toThrow(/belongs to a snapshot/);
    expect(() => store.clear(snapshot, 0, 512)).toThrow(/belongs to a snapshot/);
    await store.close();
  });

  test("needs no more room for a guest that writes the same pages for ever, and keeps those of a snapshot", async () => {
    const store = await DiskStore.open(folder);
    const before = store.create(sizeBytes);
    for (let n = 0; n < 50; n++) await store.write(before, 1024, new Uint8Array(1024).fill(n));
    const { snapshot, disk } = store.snapshot(before);
    for (let n = 50; n < 99; n++) await store.write(disk, 1024, new Uint8Array(1024).fill(n));
    expect(await store.read(snapshot, 1024, 1024)).toEqual(new Uint8Array(1024).fill(49));
    expect(await store.read(disk, 1024, 1024)).toEqual(new Uint8Array(1024).fill(98));
    for (const layer of disk.layers) expect((await stat(join(folder, `${layer}.layer`))).size).toBe(1024);
    for (const layer of disk.layers) expect((await stat(join(folder, `${layer}.map`))).size).toBe(32);
    await store.close();
  });

  test("cuts off half a record at the end of a map, and refuses a map that is damaged elsewhere", async () => {
    const first = await DiskStore.open(folder);
    const disk = first.create(sizeBytes);
    await first.write(disk, 0, new Uint8Array(512).fill(1));
    await first.close();
    const map = join(folder, `${disk.layers[0]}.map`);
    await appendFile(map, new Uint8Array(20));
    const second = await DiskStore.open(folder);
    expect(await second.read(disk, 0, 512)).toEqual(new Uint8Array(512).fill(1));
    await second.write(disk, 1024, new Uint8Array(512).fill(2));
    await second.close();
    const third = await DiskStore.open(folder);
    expect(await third.read(disk, 1024, 512)).toEqual(new Uint8Array(512).fill(2));
    await third.close();
    await writeFile(map, new Uint8Array(64));
    const fourth = await DiskStore.open(folder);
    await expect(fourth.read(disk, 0, 512)).rejects.toThrow(/damaged at byte 0/);
  });

  test("knows a layer that is gone from one that was never written", async () => {
    const first = await DiskStore.open(folder);
    const disk = first.create(sizeBytes);
    await first.close();
    expect(await readdir(folder)).toEqual([`${disk.layers[0]}.map`]);
    const second = await DiskStore.open(folder);
    expect(await second.read(disk, 0, 512)).toEqual(new Uint8Array(512));
    await rm(join(folder, `${disk.layers[0]}.map`));
    const third = await DiskStore.open(folder);
    await expect(third.read(disk, 0, 512)).rejects.toThrow(/There is no layer/);
  });
});
