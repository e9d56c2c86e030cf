import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { PageListParser } from "../../../../../shared/adapters/azure/managed/page-list-parser.ts";
import type { ListedRange } from "../../../../../shared/adapters/azure/page-ranges.ts";
import { FarsideError } from "../../../../../shared/core/errors.ts";

function parse(pieces: readonly string[]): { readonly ranges: readonly ListedRange[]; readonly marker: string } {
  const parser = new PageListParser();
  const ranges = pieces.flatMap((piece) => [...parser.feed(piece)]);
  parser.end();
  return { ranges, marker: parser.marker };
}

function xml(ranges: readonly ListedRange[], marker = ""): string {
  const elements = ranges.map(({ start, end, isClear }) => {
    const name = isClear ? "ClearRange" : "PageRange";
    return `<${name}><Start>${start}</Start><End>${end}</End></${name}>`;
  });
  const next = marker === "" ? "<NextMarker />" : `<NextMarker>${marker}</NextMarker>`;
  return `\uFEFF<?xml version="1.0" encoding="utf-8"?><PageList>${elements.join("\n ")}${next}</PageList>\n`;
}

const ranges = fc
  .array(fc.record({ gap: fc.nat(5), pages: fc.integer({ min: 1, max: 9 }), isClear: fc.boolean() }), { maxLength: 30 })
  .map((parts) => {
    let at = 0;
    return parts.map(({ gap, pages, isClear }): ListedRange => {
      const start = at + gap * 512;
      at = start + pages * 512;
      return { start, end: at - 1, isClear };
    });
  });

describe("The list of page ranges", () => {
  test("is read as it was written, written and cleared ranges mixed, however it is cut into pieces", () => {
    fc.assert(
      fc.property(ranges, fc.array(fc.nat(4000), { maxLength: 20 }), (list, cuts) => {
        const text = xml(list, "next&amp;page");
        const at = [0, ...cuts.filter((cut) => cut < text.length).sort((a, b) => a - b), text.length];
        const pieces = at.slice(1).map((end, index) => text.slice(at[index], end));
        expect(parse(pieces)).toEqual({ ranges: list, marker: "next&page" });
      }),
    );
  });

  test("without a next page has no marker, and without ranges none", () => {
    expect(parse([xml([])])).toEqual({ ranges: [], marker: "" });
    expect(parse(["<PageList></PageList>"])).toEqual({ ranges: [], marker: "" });
  });

  const range = (start: string, end: string) =>
    `<PageList><PageRange><Start>${start}</Start><End>${end}</End></PageRange>`;
  test.each([
    ["is not one", "<html><body>Sign in</body></html>"],
    ["is another's error", "<Error><Code>X</Code></Error>"],
    ["has a range that ends before it begins", `${range("1024", "511")}</PageList>`],
    ["has half a page", `${range("0", "510")}</PageList>`],
    ["has a position that is no number", `${range("0", "5e2")}</PageList>`],
    ["has a range without an end", "<PageList><PageRange><Start>0</Start></PageRange></PageList>"],
    ["has ranges inside of ranges", "<PageList><PageRange><PageRange>"],
    ["goes back", `${range("512", "1023")}<ClearRange><Start>0</Start><End>511</End></ClearRange></PageList>`],
    ["closes what is not open", "<PageList></PageRange>"],
    ["is two", "<PageList></PageList><PageList></PageList>"],
    ["has text where none is", "<PageList>x<PageRange>"],
    ["has an element without an end", `<PageList><${"x".repeat(10_000)}`],
  ])("is refused where it %s", (_, text) => {
    expect(() => parse([text])).toThrow(expect.objectContaining({ code: "source-corrupt" }));
  });

  test("that ends early is never taken for whole", () => {
    const text = xml([{ start: 0, end: 511, isClear: false }], "more").trimEnd();
    for (let end = 0; end < text.length; end++) {
      expect(() => parse([text.slice(0, end)])).toThrow(expect.objectContaining({ code: "unavailable" }));
    }
  });

  test("of any text at all is an answer or an error of ours", () => {
    const words = fc.constantFrom(
      "<PageList>",
      "</PageList>",
      "<PageRange>",
      "</PageRange>",
      "<Start>",
      "</Start>",
      "512",
      "<End>",
      "<",
      ">",
      "<NextMarker/>",
      "&amp;",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(words, fc.string()), { maxLength: 40 }), (pieces) => {
        let thrown: unknown;
        try {
          parse(pieces);
        } catch (error) {
          thrown = error;
        }
        expect(thrown === undefined || thrown instanceof FarsideError).toBe(true);
      }),
    );
  });
});
