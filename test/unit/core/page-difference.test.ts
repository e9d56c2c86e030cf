import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { differingRuns } from "../../../shared/core/page-difference.ts";

const page = 4096;
/** A stretch of pages, each full of one byte, and an end that is no whole page. */
const stretch = (bytes: readonly number[], tailBytes: number): Buffer =>
  Buffer.concat(bytes.map((byte, n) => Buffer.alloc(n === bytes.length - 1 ? tailBytes : page, byte)));

describe("What differs between two stretches", () => {
  test("makes the one of the other when it is written or cleared, in whole pages that really differ", () => {
    const bytes = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 2 })), {
      minLength: 1,
      maxLength: 12,
    });
    fc.assert(
      fc.property(bytes, fc.constantFrom(512, 1024, page), (pairs, tailBytes) => {
        const have = stretch(
          pairs.map(([a]) => a),
          tailBytes,
        );
        const want = stretch(
          pairs.map(([, b]) => b),
          tailBytes,
        );
        const runs = differingRuns(have, want);
        const made = Buffer.from(have);
        let end = -1;
        for (const { offset, length, kind } of runs) {
          expect(offset).toBeGreaterThanOrEqual(end);
          end = offset + length;
          if (kind === "zero") made.fill(0, offset, end);
          else want.copy(made, offset, offset, end);
        }
        expect(made.equals(want)).toBe(true);
        const differing = pairs.reduce(
          (sum, [a, b], n) => sum + (a === b ? 0 : n === pairs.length - 1 ? tailBytes : page),
          0,
        );
        expect(runs.reduce((sum, { length }) => sum + length, 0)).toBe(differing);
      }),
    );
  });

  test("joins pages that follow each other, and tells zeros from data", () => {
    const have = stretch([1, 1, 1, 1, 1, 0], page);
    const want = stretch([2, 2, 1, 0, 0, 3], page);
    expect(differingRuns(have, want)).toEqual([
      { offset: 0, length: 2 * page, kind: "data" },
      { offset: 3 * page, length: 2 * page, kind: "zero" },
      { offset: 5 * page, length: page, kind: "data" },
    ]);
    expect(differingRuns(have, undefined)).toEqual([{ offset: 0, length: 5 * page, kind: "zero" }]);
    expect(differingRuns(have, have)).toEqual([]);
  });
});
