import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { defectOf } from "../../../../shared/core/vault/corrupt.ts";
import {
  chunkCount,
  chunkLength,
  segmentChunkCount,
  segmentCount,
} from "../../../../shared/core/vault/disk-geometry.ts";
import { decodeDiskIndex, encodeDiskIndex } from "../../../../shared/core/vault/disk-index.ts";
import { allowedChunkSizesBytes } from "../../../../shared/core/vault/limits.ts";
import { parseObjectId } from "../../../../shared/core/vault/object-id.ts";
import { decodeSegment, encodeSegment } from "../../../../shared/core/vault/segment.ts";

const ids = fc
  .array(fc.uint8Array({ minLength: 32, maxLength: 32 }), { minLength: 1, maxLength: 1024 })
  .map((all) => all.map((bytes) => parseObjectId(Buffer.from(bytes).toString("hex"))));
const chunkSizes = fc.constantFrom(...allowedChunkSizesBytes);
const one = parseObjectId("1".repeat(64));

function reason(work: () => unknown): string {
  try {
    work();
    return "nothing was thrown";
  } catch (error) {
    return defectOf(error)?.reason ?? String(error);
  }
}

describe("A segment", () => {
  test("gives back its ids, as many as its place asks for", () => {
    fc.assert(
      fc.property(ids, (all) => {
        expect(decodeSegment("x", encodeSegment(all), all.length)).toEqual(all);
        expect(reason(() => decodeSegment("x", encodeSegment(all), all.length + 1))).toBe("bad-count");
      }),
      { numRuns: 50 },
    );
  });

  test("is refused where it is cut, where its magic is wrong, and where its count lies", () => {
    const bytes = encodeSegment([one, one]);
    expect(reason(() => decodeSegment("x", bytes.subarray(0, 71), 2))).toBe("length-mismatch");
    expect(reason(() => decodeSegment("x", bytes.subarray(0, 5), 2))).toBe("bad-magic");
    bytes.writeUInt32LE(0xffffffff, 4);
    expect(reason(() => decodeSegment("x", bytes, 2))).toBe("bad-count");
    bytes[0] = 0;
    expect(reason(() => decodeSegment("x", bytes, 2))).toBe("bad-magic");
    expect(() => encodeSegment([])).toThrow(/1 to 1024/);
    expect(() => encodeSegment(Array<typeof one>(1025).fill(one))).toThrow(/1 to 1024/);
  });
});

describe("A disk index", () => {
  test("gives back what it was made of, for disks of any size up to 64 TiB", () => {
    const sizes = fc.oneof(fc.integer({ min: 1, max: 2 ** 34 }), fc.constantFrom(2 ** 40, 2 ** 46, 2 ** 46 - 512));
    fc.assert(
      fc.property(sizes, chunkSizes, (sizeBytes, chunkSizeBytes) => {
        const count = segmentCount(sizeBytes, chunkSizeBytes);
        const segments = Array<typeof one>(count).fill(one);
        const index = { sizeBytes, chunkSizeBytes, segments };
        expect(decodeDiskIndex("x", encodeDiskIndex(index), sizeBytes)).toEqual(index);
      }),
      { numRuns: 60 },
    );
  });

  test("is refused for a disk of another size, an unknown chunk size, and a count that does not fit", () => {
    const bytes = encodeDiskIndex({ sizeBytes: 5000, chunkSizeBytes: 1024 * 1024, segments: [one] });
    expect(reason(() => decodeDiskIndex("x", bytes, 5001))).toBe("geometry-mismatch");
    expect(reason(() => decodeDiskIndex("x", bytes.subarray(0, 51), 5000))).toBe("length-mismatch");
    const chunk = Buffer.from(bytes);
    chunk.writeUInt32LE(1000, 12);
    expect(reason(() => decodeDiskIndex("x", chunk, 5000))).toBe("geometry-mismatch");
    const count = Buffer.from(bytes);
    count.writeUInt32LE(0xffffffff, 16);
    expect(reason(() => decodeDiskIndex("x", count, 5000))).toBe("bad-count");
    expect(() => encodeDiskIndex({ sizeBytes: 5000, chunkSizeBytes: 1024 * 1024, segments: [] })).toThrow(/1 segments/);
  });
});

test("Chunks and segments together cover a disk exactly", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 3 * 2 ** 30 }), chunkSizes, (size, chunkSize) => {
      const chunks = chunkCount(size, chunkSize);
      const bySegment = Array.from({ length: segmentCount(size, chunkSize) }, (_, at) =>
        segmentChunkCount(size, chunkSize, at),
      );
      expect(bySegment.reduce((sum, count) => sum + count, 0)).toBe(chunks);
      expect(bySegment.every((count) => count >= 1 && count <= 1024)).toBe(true);
      expect((chunks - 1) * chunkSize + chunkLength(size, chunkSize, chunks - 1)).toBe(size);
      expect(chunkLength(size, chunkSize, chunks - 1)).toBeGreaterThan(0);
    }),
  );
});
