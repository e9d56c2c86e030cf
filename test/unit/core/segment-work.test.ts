import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type NamedRange, readGroups, SegmentWork } from "../../../shared/core/segment-work.ts";

/** Five chunks of 100 bytes, the last one of 40, from byte 1000. */
const place = { fromByte: 1000, toByte: 1440, chunkSizeBytes: 100, chunkCount: 5 };

function work(method: "diff" | "all" | "compare", ranges: readonly NamedRange[]): SegmentWork {
  const segment = new SegmentWork(place, method);
  for (const range of ranges) segment.add(range);
  return segment;
}

const data = (offset: number, length: number): NamedRange => ({ kind: "data", offset, length });
const zero = (offset: number, length: number): NamedRange => ({ kind: "zero", offset, length });

describe("The chunks of a segment", () => {
  test("are kept by a diff where nothing is named, and are zeros where nothing is allocated", () => {
    expect(work("diff", []).chunks()).toEqual(["keep", "keep", "keep", "keep", "keep"]);
    expect(work("all", []).chunks()).toEqual(["zero", "zero", "zero", "zero", "zero"]);
    expect(work("compare", [data(1199, 2)]).chunks()).toEqual(["zero", "read", "read", "zero", "zero"]);
  });

  test("are zeros without reading only where they are cleared whole, be it by several ranges", () => {
    expect(work("diff", [zero(1000, 200), zero(1200, 50)]).chunks()).toEqual(["zero", "zero", "read", "keep", "keep"]);
    expect(work("diff", [zero(1100, 60), zero(1160, 40)]).chunks()[1]).toBe("zero");
    expect(work("diff", [zero(1400, 40)]).chunks()[4]).toBe("zero");
    expect(work("diff", [zero(1100, 99), data(1199, 1)]).chunks()[1]).toBe("read");
  });

  test("take nothing from ranges outside, and count the bytes named inside", () => {
    const segment = work("diff", [data(0, 1000), data(990, 20), zero(1430, 100), data(1440, 5)]);
    expect(segment.chunks()).toEqual(["read", "keep", "keep", "keep", "read"]);
    expect(segment.namedBytes).toBe(20);
  });

  test("are read where they are forced, which counts for nothing", () => {
    const segment = work("diff", []);
    segment.force(1250);
    segment.force(50);
    expect(segment.chunks()).toEqual(["keep", "keep", "read", "keep", "keep"]);
    expect(segment.namedBytes).toBe(0);
  });

  test("are never kept or zeroed where a byte of data is named (against a model)", () => {
    const range = fc.tuple(
      fc.nat(60),
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom("data" as const, "zero" as const),
    );
    fc.assert(
      fc.property(fc.array(range, { maxLength: 12 }), (drawn) => {
        // In units of 10 bytes; ranges follow each other without overlap.
        let at = 98;
        const ranges = drawn.map(([gap, length, kind]): NamedRange => {
          const offset = at + (gap % 5);
          at = offset + length;
          return { kind, offset: offset * 10, length: length * 10 };
        });
        const chunks = work("diff", ranges).chunks();
        for (const [chunk, what] of chunks.entries()) {
          const bytes = Array.from({ length: chunk === 4 ? 40 : 100 }, (_, i) => 1000 + chunk * 100 + i);
          const kinds = bytes.map(
            (byte) => ranges.find(({ offset, length }) => byte >= offset && byte < offset + length)?.kind,
          );
          const expected = kinds.every((kind) => kind === undefined)
            ? "keep"
            : kinds.every((kind) => kind === "zero")
              ? "zero"
              : "read";
          expect(what).toBe(expected);
        }
      }),
    );
  });
});

describe("Reads", () => {
  test("take adjacent chunks together, up to a limit", () => {
    expect(readGroups(["read", "read", "read", "keep", "read", "zero"], 2)).toEqual([
      { firstChunk: 0, chunks: 2 },
      { firstChunk: 2, chunks: 1 },
      { firstChunk: 4, chunks: 1 },
    ]);
  });
});
