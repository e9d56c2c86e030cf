import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { BlockDevice, ContentName } from "../../../shared/ports/block-device.ts";
import { mappedDevice, sliceDevice } from "../../../shared/images/mapped-device.ts";
import { memoryDevice, overlayDevice } from "../../../shared/images/overlay-device.ts";

const signal = new AbortController().signal;

function numbered(length: number, seed = 0): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (at * 7 + seed) & 0xff);
}

async function names(device: BlockDevice, offset: number, length: number): Promise<ContentName[]> {
  return Array.fromAsync(device.contentNames(offset, length, signal));
}

describe("A slice", () => {
  const device = sliceDevice("slice", memoryDevice(numbered(100)), 10, 50);

  test("reads what lies at its place", async () => {
    expect(await device.read(5, 10, signal)).toEqual(numbered(100).subarray(15, 25));
    expect(await Array.fromAsync(device.extents(0, 50, signal))).toEqual([{ kind: "data", offset: 0, length: 50 }]);
  });

  test("refuses what is not within it", async () => {
    for (const [offset, length] of [
      [45, 6],
      [-1, 2],
      [Number.NaN, 1],
      [0, 1.5],
    ] as const) {
      await expect(device.read(offset, length, signal)).rejects.toMatchObject({ code: "image-corrupt" });
    }
    expect(() => sliceDevice("slice", memoryDevice(numbered(10)), 5, 6)).toThrow(/are not within/);
  });
});

describe("An overlay", () => {
  test("shows its blocks in place of the device's, whatever range is read", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.integer({ min: 0, max: 9 }), { maxLength: 10 }),
        fc.integer({ min: 0, max: 100 }),
        fc.integer({ min: 0, max: 100 }),
        async (replaced, one, other) => {
          const [from, to] = [Math.min(one, other), Math.max(one, other)];
          const blocks = new Map(replaced.map((number) => [number, numbered(10, 100 + number)]));
          const expected = numbered(100);
          for (const [number, block] of blocks) expected.set(block, number * 10);
          const device = overlayDevice("overlay", memoryDevice(numbered(100)), 10, blocks);
          expect(Buffer.from(await device.read(from, to - from, signal))).toEqual(
            Buffer.from(expected.subarray(from, to)),
          );
          const lengths = (await names(device, from, to - from)).map((piece) => piece.length);
          expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(to - from);
          expect(lengths.every((length) => length > 0)).toBe(true);
        },
      ),
    );
  });

  test("names the content of its blocks by their bytes, so that equal ones have equal names", async () => {
    const base = memoryDevice(numbered(100));
    const one = overlayDevice("one", base, 10, new Map([[1, numbered(10, 5)]]));
    const same = overlayDevice("same", base, 10, new Map([[1, numbered(10, 5)]]));
    const other = overlayDevice("other", base, 10, new Map([[1, numbered(10, 6)]]));
    expect(await names(one, 10, 10)).toEqual(await names(same, 10, 10));
    expect(await names(one, 10, 10)).not.toEqual(await names(other, 10, 10));
  });
});

describe("A mapped device", () => {
  test("reads zeros where nothing lies below", async () => {
    const device = mappedDevice("hole", 20, (offset, length) => [{ device: undefined, offset, length }]);
    expect(await device.read(3, 5, signal)).toEqual(new Uint8Array(5));
    expect(await names(device, 3, 5)).toEqual([{ length: 5, name: "zero", at: 0 }]);
    expect(await Array.fromAsync(device.extents(3, 5, signal))).toEqual([{ kind: "zero", offset: 3, length: 5 }]);
  });
});
