import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { glob } from "../../../../shared/core/files/glob.ts";

const matches = (pattern: string, text: string, ignoreCase = false): boolean => glob(pattern, { ignoreCase })(text);

describe("A pattern", () => {
  test.each([
    ["*.conf", "a.conf", true],
    ["*.conf", ".conf", true],
    ["*.conf", "a.conf.bak", false],
    ["*.conf", "etc/a.conf", false],
    ["?", "ü", true],
    ["?", "💾", true],
    ["?", "ab", false],
    ["[a-c]x", "bx", true],
    ["[!a-c]x", "bx", false],
    ["[]]", "]", true],
    ["[a-]", "-", true],
    ["\\*", "*", true],
    ["\\*", "a", false],
    ["etc/*", "etc/a", true],
    ["etc/*", "etc/a/b", false],
    ["etc/**", "etc/a/b", true],
    ["**/b", "b", true],
    ["**/b", "x/y/b", true],
    ["**/b", "x/ab", false],
    ["a/**/b", "a/b", true],
    ["a/**/b", "a/x/y/b", true],
    ["a/**/b", "ab", false],
    ["a**b", "a/x/b", true],
    ["[!a]", "/", false],
  ])("%s finds in %s: %s", (pattern, text, found) => expect(matches(pattern, text)).toBe(found));

  test("can leave case aside", () => {
    expect(matches("*.CONF", "A.conf", true)).toBe(true);
    expect(matches("*.CONF", "A.conf")).toBe(false);
  });

  test.each(["", "[", "[a", "[]", "a\\", "x".repeat(5000)])("that cannot be read is refused: %s", (pattern) => {
    expect(() => matches(pattern, "a")).toThrow(/cannot be read/);
  });

  test("that makes others slow does not make this one slow", () => {
    const text = "a".repeat(4000);
    expect(matches(`${"*a".repeat(100)}b`, text)).toBe(false);
    expect(matches(`${"**/".repeat(50)}b`, "a/".repeat(2000))).toBe(false);
  });

  test("of letters alone finds that text and no other", () => {
    const plain = fc.string({ minLength: 1, maxLength: 20, unit: "grapheme" });
    fc.assert(
      fc.property(plain, plain, (text, other) => {
        const pattern = Array.from(text)
          .map((letter) => `\\${letter}`)
          .join("");
        expect(matches(pattern, text)).toBe(true);
        expect(matches(pattern, other)).toBe(text === other);
      }),
    );
  });

  test("of stars and letters agrees with a regular expression", () => {
    const words = fc.array(fc.constantFrom("*", "?", "a", "b", "/", "**"), { minLength: 1, maxLength: 8 });
    const texts = fc.array(fc.constantFrom("a", "b", "/"), { maxLength: 10 });
    fc.assert(
      fc.property(words, texts, (parts, letters) => {
        const pattern = parts
          .join("")
          .replaceAll(/\*\*+\//g, "a")
          .replaceAll(/\*{2,}/g, "**");
        const source = pattern.replaceAll(/\*\*|[*?]/g, (part) =>
          part === "**" ? ".*" : part === "*" ? "[^/]*" : "[^/]",
        );
        expect(matches(pattern, letters.join(""))).toBe(new RegExp(`^${source}$`, "s").test(letters.join("")));
      }),
    );
  });
});
