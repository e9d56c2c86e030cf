import { array, assert, boolean, integer, nat, property, record } from "fast-check";
import { describe, expect, test } from "vitest";
import { listInParts, type RangeLister } from "../../../../shared/adapters/azure/page-range-list.ts";
import { FarsideError } from "../../../../shared/core/errors.ts";
import {
  changedFrom,
  coalesce,
  joined,
  type ByteWindow,
  type ListedRange,
} from "../../../../shared/adapters/azure/page-ranges.ts";

const range = (start: number, length: number, isClear = false): ListedRange => ({
  start,
  end: start + length - 1,
  isClear,
});
const window = { fromByte: 0, toByte: 100 };

describe("Listed ranges", () => {
  test("that touch or overlap become one, in order, cut to the window", () => {
    expect(coalesce([range(20, 10), range(0, 10), range(10, 5), range(25, 10), range(90, 20)], window)).toEqual([
      { offset: 0, length: 15 },
      { offset: 20, length: 15 },
      { offset: 90, length: 10 },
    ]);
    expect(coalesce([range(0, 10), range(50, 10)], { fromByte: 5, toByte: 50 })).toEqual([{ offset: 5, length: 5 }]);
  });

  test("written and cleared, interleaved or in two lists, become one list; what is both counts as written", () => {
    const listed = [range(0, 10), range(40, 10), range(10, 10, true), range(30, 40, true)];
    expect(changedFrom(listed, window)).toEqual([
      { kind: "data", offset: 0, length: 10 },
      { kind: "zero", offset: 10, length: 10 },
      { kind: "zero", offset: 30, length: 10 },
      { kind: "data", offset: 40, length: 10 },
      { kind: "zero", offset: 50, length: 20 },
    ]);
  });

  test("say of each byte what they said before, whatever they were", () => {
    const listed = array(record({ start: nat(60), length: integer({ min: 1, max: 30 }), isClear: boolean() }), {
      maxLength: 12,
    });
    assert(
      property(listed, nat(40), integer({ min: 41, max: 90 }), (items, fromByte, toByte) => {
        const ranges = items.map(({ start, length, isClear }) => range(start, length, isClear));
        const changed = changedFrom(ranges, { fromByte, toByte });
        let end = fromByte;
        for (const { offset, length } of changed) {
          expect(offset).toBeGreaterThanOrEqual(end);
          expect(length).toBeGreaterThan(0);
          end = offset + length;
        }
        expect(end).toBeLessThanOrEqual(toByte);
        for (let at = fromByte; at < toByte; at++) {
          const said = (isClear: boolean): boolean =>
            ranges.some((one) => one.isClear === isClear && one.start <= at && at <= one.end);
          const wanted = said(false) ? "data" : said(true) ? "zero" : undefined;
          expect(changed.find(({ offset, length }) => offset <= at && at < offset + length)?.kind).toBe(wanted);
        }
      }),
    );
  });
});

describe("A list in parts", () => {
  const giB = 1024 ** 3;
  const whole = { fromByte: 0, toByte: 1024 * giB };

  test("asks once for the whole of a disk, whatever its size", async () => {
    const asked: ByteWindow[] = [];
    const list: RangeLister = async function* (one) {
      asked.push(one);
      yield await Promise.resolve([range(0, 512)]);
    };
    expect(await Array.fromAsync(listInParts(list, whole))).toEqual([{ ranges: [range(0, 512)], window: whole }]);
    expect(asked).toEqual([whole]);
  });

  test("goes on in parts, from where it stood, when the service does not answer for the whole", async () => {
    const asked: ByteWindow[] = [];
    const list: RangeLister = async function* (one) {
      asked.push(one);
      if (one.fromByte === 0 && asked.length === 1) {
        yield await Promise.resolve([range(512, 512)]);
        throw new FarsideError("unavailable", "It ran out of time.");
      }
      yield [];
    };
    await Array.fromAsync(listInParts(list, { fromByte: 0, toByte: 40 * giB }));
    const ends = asked.map(({ fromByte, toByte }) => [fromByte, toByte]);
    expect(ends).toEqual([
      [0, 40 * giB],
      [1024, 1024 + 16 * giB],
      [1024 + 16 * giB, 1024 + 32 * giB],
      [1024 + 32 * giB, 40 * giB],
    ]);
  });

  test("gives up where a part is not answered either, and at once for any other error", async () => {
    let asked = 0;
    const failing = (code: "unavailable" | "forbidden"): RangeLister =>
      async function* () {
        asked++;
        yield await Promise.reject(new FarsideError(code, "No."));
      };
    await expect(Array.fromAsync(listInParts(failing("unavailable"), whole))).rejects.toThrow("No.");
    expect(asked).toBe(2);
    await expect(Array.fromAsync(listInParts(failing("forbidden"), whole))).rejects.toThrow("No.");
    expect(asked).toBe(3);
  });

  test("loses nothing at the borders: ranges of one kind that touch there become one again", async () => {
    const lists = async function* () {
      yield [{ offset: 0, length: 10, kind: "data" }];
      yield [];
      yield await Promise.resolve([
        { offset: 10, length: 5, kind: "data" },
        { offset: 15, length: 5, kind: "zero" },
      ]);
      yield [{ offset: 20, length: 5, kind: "zero" }];
    };
    const found = [];
    for await (const one of joined(lists())) found.push(one);
    expect(found).toEqual([
      { offset: 0, length: 15, kind: "data" },
      { offset: 15, length: 10, kind: "zero" },
    ]);
  });
});
