import fc from "fast-check";
import { expect, test } from "vitest";
import { entryName } from "../../../shared/images/entry-name.ts";
import { decodeUtf16Name, utf16Units } from "../../../shared/images/utf16-name.ts";

test("A name in UTF-16 stands as it is, in any script", () => {
  for (const name of ["plain", "größe 日本語 🦆", "back\\slash", "looks\\x41escaped", ""]) {
    expect(decodeUtf16Name(Buffer.from(name, "utf16le"))).toBe(name);
  }
});

test("A surrogate that stands alone can be typed", () => {
  expect(decodeUtf16Name(Buffer.from([0x61, 0, 0x3d, 0xd8]))).toBe("a\\xed\\xa0\\xbd");
});

test("Every name leads back to its units", () => {
  const unit = fc.oneof(
    fc.integer({ min: 0, max: 0xffff }),
    fc.integer({ min: 0xd800, max: 0xdfff }),
    fc.constant(0x5c),
  );
  fc.assert(
    fc.property(fc.array(unit, { maxLength: 12 }), (units) => {
      const bytes = Buffer.from(Uint16Array.from(units).buffer);
      expect([...utf16Units(decodeUtf16Name(bytes))]).toEqual(units);
    }),
  );
});

test("A name that would lead elsewhere is refused", () => {
  for (const name of ["", ".", "..", "a/b", "a\0b"])
    expect(() => entryName(name, "test")).toThrow(/damaged at the test/);
  expect(entryName("...", "test")).toBe("...");
});
