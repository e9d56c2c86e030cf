import { describe, expect, test } from "vitest";
import { restoreSpans, revertSpans } from "../../../shared/core/restore-plan.ts";
import { zeroObjectId } from "../../../shared/core/vault/object-id.ts";
import type { ObjectId } from "../../../shared/core/vault/manifest.ts";

const id = "1".repeat(64) as ObjectId;
const chunkSizeBytes = 256 * 1024;
const segment = 1024 * chunkSizeBytes;

describe("The windows of a restore", () => {
  test("cover every segment that is not zeros, and end with the disk", () => {
    const segments = [zeroObjectId, id, id, zeroObjectId, id];
    const index = { sizeBytes: 4 * segment + 1024, chunkSizeBytes, segments };
    expect(restoreSpans(index, segment)).toEqual([
      { fromByte: segment, toByte: 2 * segment },
      { fromByte: 2 * segment, toByte: 3 * segment },
      { fromByte: 4 * segment, toByte: 4 * segment + 1024 },
    ]);
    expect(restoreSpans(index, 10 * segment)).toEqual([{ fromByte: segment, toByte: 4 * segment + 1024 }]);
    expect(restoreSpans({ ...index, segments: segments.map(() => zeroObjectId) }, segment)).toEqual([]);
  });
});

describe("The windows of a revert", () => {
  test("cover the whole disk without a gap: where the point has zeros, the disk may have something else", () => {
    const segments = [zeroObjectId, id, zeroObjectId, zeroObjectId, id];
    const index = { sizeBytes: 4 * segment + 1024, chunkSizeBytes, segments };
    const spans = revertSpans(index, segment);
    expect(spans.length).toBeGreaterThan(1);
    expect(spans[0]?.fromByte).toBe(0);
    expect(spans.at(-1)?.toByte).toBe(index.sizeBytes);
    for (const [n, { fromByte }] of spans.entries()) expect(fromByte).toBe(spans[n - 1]?.toByte ?? 0);
  });
});
