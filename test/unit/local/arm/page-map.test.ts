import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { laidOver, PageMap } from "../../../../local/arm/disks/page-map.ts";

const pages = 40;
const change = fc.record({
  start: fc.nat(pages),
  length: fc.nat(12),
  keptAt: fc.option(fc.nat(1000), { nil: undefined }),
});

interface Change {
  readonly start: number;
  readonly length: number;
  readonly keptAt: number | undefined;
}

/** Where each page is kept; "cleared", or undefined for a page of which nothing was said. */
function said(changes: readonly Change[]): (number | "cleared" | undefined)[] {
  const each = Array<number | "cleared" | undefined>(pages + 20).fill(undefined);
  for (const { start, length, keptAt } of changes) {
    for (let page = 0; page < length; page++) each[start + page] = keptAt === undefined ? "cleared" : keptAt + page;
  }
  return each;
}

function mapOf(changes: readonly Change[]): PageMap {
  const map = new PageMap();
  for (const { start, length, keptAt } of changes) map.set({ start, end: start + length, keptAt });
  return map;
}

function saidBy(map: PageMap, start = 0, end = pages + 20) {
  return said([...map.within(start, end)].map((range) => ({ ...range, length: range.end - range.start })));
}

describe("A map of pages", () => {
  test("knows the last word on each page", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        expect(saidBy(mapOf(changes))).toEqual(said(changes));
      }),
    );
  });

  test("keeps its ranges in order and apart", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const { ranges } = mapOf(changes);
        expect(ranges.every(({ start, end }, at) => start < end && start >= (ranges[at - 1]?.end ?? 0))).toBe(true);
      }),
    );
  });

  test("joins what is written on and on at neighbouring places", () => {
    const map = new PageMap();
    for (const start of [0, 10, 20, 30]) map.set({ start, end: start + 10, keptAt: 500 + start });
    expect(map.ranges).toEqual([{ start: 0, end: 40, keptAt: 500 }]);
  });

  test("cuts to a window", () => {
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), fc.nat(pages), fc.nat(12), (changes, start, length) => {
        const expected = said(changes).map((kind, page) => (page >= start && page < start + length ? kind : undefined));
        expect(saidBy(mapOf(changes), start, start + length)).toEqual(expected);
      }),
    );
  });

  test("laid over others tells written and cleared pages as one map of all changes would, neighbours joined", () => {
    fc.assert(
      fc.property(fc.array(fc.array(change, { maxLength: 8 }), { maxLength: 5 }), (layers) => {
        const told = laidOver(layers.map(mapOf), 0, pages + 20);
        const kinds = Array<string | undefined>(pages + 20).fill(undefined);
        for (const { start, end, kind } of told) kinds.fill(kind, start, end);
        const expected = said(layers.flat()).map((page) => (typeof page === "number" ? "written" : page));
        expect(kinds).toEqual(expected);
        expect(told.every(({ start, kind }, at) => told[at - 1]?.end !== start || told[at - 1]?.kind !== kind)).toBe(
          true,
        );
      }),
    );
  });
});
