import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { FarsideError } from "../../../../shared/core/errors.ts";
import { objectName } from "../../../../shared/core/vault/object-id.ts";
import { ChunkCache } from "../../../../shared/operations/files/chunk-cache.ts";
import { openPointDisks } from "../../../../shared/operations/files/open-point-disks.ts";
import type { DamagedRange } from "../../../../shared/operations/files/vault-disk.ts";
import { diskSegments, readDiskIndex, readSegment } from "../../../../shared/operations/vault/read-disk.ts";
import type { BlockDevice } from "../../../../shared/ports/block-device.ts";
import { backUp, kib, makeVault, noise, prose, signal } from "../../../support/vault/vault-fixture.ts";

const chunk = 256 * kib;
const roomy = { cacheBytes: 100 * chunk, fetchesAtOnce: 4 };

async function makePoint(contents: Readonly<Record<string, Uint8Array>>) {
  const made = await makeVault({ kind: "none" });
  const manifest = await backUp(made, "web01", contents);
  return { ...made, manifest };
}

async function chunkIds(point: Awaited<ReturnType<typeof makePoint>>, disk = 0) {
  const ref = point.manifest.disks[disk];
  if (ref === undefined) throw new Error("no such disk");
  const index = await readDiskIndex(point.vault, ref, signal);
  return (await Promise.all(diskSegments(index).map((one) => readSegment(point.vault, one, signal)))).flat();
}

function only<T>(items: readonly T[]): T {
  const [first] = items;
  if (first === undefined) throw new Error("nothing there");
  return first;
}

async function lay(device: BlockDevice, offset: number, length: number): Promise<Buffer> {
  return Buffer.from(await device.read(offset, length, signal));
}

describe("A disk of a restore point, as a block device,", () => {
  const content = Buffer.concat([prose("fox", 2 * chunk), new Uint8Array(3 * chunk), noise("n", 2 * chunk + 77)]);

  test("holds the disk's bytes in any range, and its extents and names cover the range without a gap", async () => {
    const { vault, manifest } = await makePoint({ os: content });
    const { device } = only(await openPointDisks(vault, manifest, { cacheBytes: 2 * chunk, fetchesAtOnce: 2 }, signal));
    expect(device.sizeBytes).toBe(content.length);
    const place = fc.integer({ min: 0, max: content.length });
    await fc.assert(
      fc.asyncProperty(place, place, async (one, other) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        expect((await lay(device, from, to - from)).equals(content.subarray(from, to))).toBe(true);
        let at = from;
        for await (const extent of device.extents(from, to - from, signal)) {
          expect(extent.offset).toBe(at);
          expect(extent.length).toBeGreaterThan(0);
          const isZero = content.subarray(at, at + extent.length).every((byte) => byte === 0);
          expect(extent.kind === "data" || isZero).toBe(true);
          at += extent.length;
        }
        expect(at).toBe(to);
        let named = from;
        for await (const name of device.contentNames(from, to - from, signal)) {
          expect(name.at).toBe(name.name === "zero" ? 0 : named % chunk);
          named += name.length;
        }
        expect(named).toBe(to);
      }),
      { numRuns: 60 },
    );
  });

  test("keeps no chunk in memory for a few bytes of it", async () => {
    const { vault, manifest } = await makePoint({ os: content });
    const { device } = only(await openPointDisks(vault, manifest, roomy, signal));
    for (const length of [1, 4 * kib, chunk - 1, chunk]) {
      const bytes = await device.read(chunk, length, signal);
      expect(Buffer.from(bytes).equals(content.subarray(chunk, chunk + length))).toBe(true);
      expect(bytes.buffer.byteLength).toBeLessThanOrEqual(length + 1);
    }
  });

  test("gives many readers at once the right bytes, though others leave in the middle, from a cache that is too small", async () => {
    const { vault, manifest } = await makePoint({ os: content });
    const cache = new ChunkCache(vault, { cacheBytes: 2 * chunk, fetchesAtOnce: 2 });
    const { device } = only(await openPointDisks(vault, manifest, { ...cache.options, cache }, signal));
    const read = fc.record({
      from: fc.nat(content.length - 1),
      length: fc.integer({ min: 1, max: 2 * chunk }),
      // Turns of the event loop until it leaves; undefined: it stays.
      leavesAfter: fc.option(fc.nat(6), { nil: undefined }),
    });
    let left = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(read, { minLength: 2, maxLength: 24 }), async (reads) => {
        const one = async ({ from, length, leavesAfter }: (typeof reads)[number]): Promise<void> => {
          const leaving = new AbortController();
          const to = Math.min(content.length, from + length);
          const reading = device.read(from, to - from, leaving.signal).catch((error: unknown) => {
            if (!leaving.signal.aborted) throw error;
            return undefined;
          });
          for (let turn = 0; turn < (leavesAfter ?? 0); turn++) await new Promise(setImmediate);
          if (leavesAfter !== undefined) leaving.abort();
          const bytes = await reading;
          if (bytes === undefined) left += 1;
          expect(Buffer.compare(bytes ?? content.subarray(from, to), content.subarray(from, to))).toBe(0);
        };
        await Promise.all(reads.map(one));
        expect(cache.keptBytes).toBeLessThanOrEqual(2 * chunk);
      }),
      { numRuns: 40 },
    );
    expect(left).toBeGreaterThan(0);
  });

  test("joins neighbouring zeros, and never fetches them", async () => {
    const { vault, manifest } = await makePoint({ os: content });
    const cache = new ChunkCache(vault, roomy);
    const { device } = only(await openPointDisks(vault, manifest, { ...roomy, cache }, signal));
    expect(await Array.fromAsync(device.extents(0, content.length, signal))).toEqual([
      { kind: "data", offset: 0, length: 2 * chunk },
      { kind: "zero", offset: 2 * chunk, length: 3 * chunk },
      { kind: "data", offset: 5 * chunk, length: 2 * chunk + 77 },
    ]);
    await device.read(2 * chunk, 3 * chunk, signal);
    expect(cache.stats).toMatchObject({ fetches: 0, hits: 0, segments: 1 });
  });

  test("fetches a chunk once for all disks that hold it", async () => {
    const { vault, manifest } = await makePoint({ os: content, data: content });
    const cache = new ChunkCache(vault, roomy);
    const disks = await openPointDisks(vault, manifest, { ...roomy, cache }, signal);
    await Promise.all(disks.flatMap(({ device }) => [device.read(10, 20, signal), device.read(50, 20, signal)]));
    expect(cache.stats).toMatchObject({ fetches: 1, hits: 3, bytes: chunk });
    expect(cache.keptBytes).toBe(chunk);
  });

  test("refuses a range beyond its end", async () => {
    const { vault, manifest } = await makePoint({ os: content });
    const { device } = only(await openPointDisks(vault, manifest, roomy, signal));
    await expect(device.read(content.length, 1, signal)).rejects.toMatchObject({ code: "image-corrupt" });
    await expect(Array.fromAsync(device.extents(0, content.length + 1, signal))).rejects.toMatchObject({
      code: "image-corrupt",
    });
  });
});

describe("Reading ahead", () => {
  const content = Buffer.concat(Array.from({ length: 30 }, (_, at) => prose(`chunk ${at}`, chunk)));
  const step = 64 * kib;

  test("begins once a reader reads on into the next chunk, and each chunk is fetched once", async () => {
    const { vault, manifest } = await makePoint({ os: content });
    const cache = new ChunkCache(vault, roomy);
    const { device } = only(await openPointDisks(vault, manifest, { ...roomy, cache }, signal));
    for (let at = 0; at < content.length; at += step) {
      expect((await lay(device, at, step)).equals(content.subarray(at, at + step))).toBe(true);
      expect(at < chunk && cache.stats.readAhead > 0).toBe(false);
    }
    expect(cache.stats.fetches).toBe(30);
    expect(cache.stats.readAhead).toBeGreaterThan(15);
  });

  test("does not happen for reads at random places", async () => {
    const { vault, manifest } = await makePoint({ os: content });
    const cache = new ChunkCache(vault, roomy);
    const { device } = only(await openPointDisks(vault, manifest, { ...roomy, cache }, signal));
    for (const place of [5, 1, 20, 3, 9, 2, 25]) await device.read(place * chunk + 100, step, signal);
    expect(cache.stats).toMatchObject({ fetches: 7, readAhead: 0 });
  });
});

describe("A damaged chunk", () => {
  const content = Buffer.concat([prose("one", chunk), prose("two", chunk), prose("three", chunk)]);

  async function damaged() {
    const point = await makePoint({ os: content });
    const id = (await chunkIds(point))[1];
    if (id === undefined) throw new Error("no chunk");
    await point.store.remove(objectName("data", id), {}, signal);
    return point;
  }

  test("fails the read with its disk and bytes, and leaves the rest readable", async () => {
    const { vault, manifest } = await damaged();
    const { device } = only(await openPointDisks(vault, manifest, roomy, signal));
    await expect(device.read(chunk + 5, 10, signal)).rejects.toMatchObject({
      code: "vault-corrupt",
      details: { reason: "missing", disk: "os", fromByte: chunk, toByte: 2 * chunk },
    });
    expect((await lay(device, 0, chunk)).equals(content.subarray(0, chunk))).toBe(true);
  });

  test("reads as zeros where somebody is told, once", async () => {
    const { vault, manifest } = await damaged();
    const told: DamagedRange[] = [];
    const onDamage = (range: DamagedRange): number => told.push(range);
    const { device } = only(await openPointDisks(vault, manifest, { ...roomy, onDamage }, signal));
    const expected = Buffer.from(content);
    expected.fill(0, chunk, 2 * chunk);
    for (let round = 0; round < 2; round++) {
      expect((await lay(device, 0, content.length)).equals(expected)).toBe(true);
    }
    expect(told.map(({ disk, fromByte, toByte }) => ({ disk, fromByte, toByte }))).toEqual([
      { disk: "os", fromByte: chunk, toByte: 2 * chunk },
    ]);
    expect(told[0]?.error.code).toBe("vault-corrupt" satisfies FarsideError["code"]);
  });

  test("is not what a store that does not answer is", async () => {
    const { vault, manifest } = await damaged();
    const leaving = new AbortController();
    const { device } = only(await openPointDisks(vault, manifest, { ...roomy, onDamage: () => undefined }, signal));
    leaving.abort(new Error("stopped"));
    await expect(device.read(chunk, 10, leaving.signal)).rejects.toThrow("stopped");
  });
});

describe("A damaged segment", () => {
  test("is told with all of its bytes, and does not pass for zeros in extents", async () => {
    const point = await makePoint({ os: prose("one", 3 * chunk) });
    const disk = only(point.manifest.disks);
    const segment = only((await readDiskIndex(point.vault, disk, signal)).segments);
    await point.store.remove(objectName("segment", segment), {}, signal);
    const told: DamagedRange[] = [];
    const options = { ...roomy, onDamage: (range: DamagedRange): number => told.push(range) };
    const { device } = only(await openPointDisks(point.vault, point.manifest, options, signal));
    expect(await lay(device, 5, 10)).toEqual(Buffer.alloc(10));
    expect(told).toMatchObject([{ disk: "os", fromByte: 0, toByte: 3 * chunk }]);
    expect(await Array.fromAsync(device.extents(0, chunk, signal))).toEqual([
      { kind: "data", offset: 0, length: chunk },
    ]);
    expect(await Array.fromAsync(device.contentNames(9, chunk, signal))).toEqual([
      { length: chunk, name: `segment:${segment}`, at: 9 },
    ]);
  });
});
