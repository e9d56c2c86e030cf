import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { canonicalJson } from "../../../../shared/core/vault/canonical-json.ts";

describe("Canonical JSON", () => {
  test("is what RFC 8785 asks for: sorted by code units, no space, one spelling", () => {
    // From RFC 8785, section 3.2.3: the order of these names, here with integers.
    const names = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\ud83d\ude00": 5, "\u0080": 6, "\u00f6": 7 };
    expect(canonicalJson(names)).toBe('{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}');
    expect(canonicalJson({ b: [1, '\u000f\n"/', null], a: { y: true, x: -0 } })).toBe(
      '{"a":{"x":0,"y":true},"b":[1,"\\u000f\\n\\"/",null]}',
    );
  });

  test("of what was parsed from it is the same again", () => {
    const json = fc.letrec<{ value: unknown }>((tie) => ({
      value: fc.oneof(
        { depthSize: "small" },
        fc.constantFrom(null, true, false),
        fc.maxSafeInteger(),
        fc.string({ unit: "binary" }),
        fc.array(tie("value")),
        fc.dictionary(fc.string({ unit: "binary" }), tie("value")),
      ),
    })).value;
    fc.assert(
      fc.property(json, (value) => {
        const text = canonicalJson(value);
        expect(canonicalJson(JSON.parse(text))).toBe(text);
      }),
    );
  });

  test("is refused for what has no one spelling", () => {
    for (const value of [
      0.5,
      2 ** 53,
      Number.NaN,
      Infinity,
      1n,
      "\ud800",
      new Date(0),
      new Map(),
      () => 1,
      [undefined],
    ]) {
      expect(() => canonicalJson({ value })).toThrow(/has no canonical JSON/);
    }
    expect(() => canonicalJson({ "\udc00": 1 })).toThrow(/half a surrogate pair/);
    expect(canonicalJson({ left: undefined, value: 2 ** 53 - 1 })).toBe('{"value":9007199254740991}');
  });
});
