import fc from "fast-check";
import { win32 } from "node:path";
import { describe, expect, test } from "vitest";
import type { TargetNames } from "../../../../shared/core/files/target-name.ts";
import { nameMapper } from "../../../../shared/core/files/target-name.ts";

const bytesOf = (name: string): number => Buffer.byteLength(name);
const posix: TargetNames = { rules: "posix", ignoresCase: false, bytesOf };
const mac: TargetNames = { rules: "posix", ignoresCase: true, bytesOf };
const windows: TargetNames = { rules: "windows", ignoresCase: true, bytesOf };
const zip: TargetNames = { rules: "zip", ignoresCase: false, bytesOf };
const hostile = fc.oneof(
  fc.string({ unit: "binary", maxLength: 300 }),
  fc.constantFrom(
    "..",
    ".",
    "",
    "../x",
    "/etc",
    "a/b",
    "C:",
    "C:\\x",
    "\\\\host\\share",
    "con",
    "NUL.txt",
    "a:b",
    "a ",
    "a.",
  ),
);

describe("Names taken out", () => {
  test("stay as they are on a system that has them", () => {
    for (const name of ["a", "ü", "a b", ".hidden", "...", "a\\b", "-rf", "new\nline", "a:b"]) {
      expect(nameMapper(posix)(name, 7)).toEqual({ name, renamed: false });
    }
  });

  test.each([
    [windows, "a:b.txt", "a_b~7.txt"],
    [windows, "con.txt", "_con~7.txt"],
    [windows, "dots...", "dots___~7"],
    [zip, "..\\..\\evil", ".._.._evil~7"],
    [zip, "C:evil", "C_evil~7"],
    [posix, "..", "__~7"],
    [posix, "a/b", "a_b~7"],
  ] as const)("get another one where they would lead elsewhere (%#)", (target, name, given) => {
    expect(nameMapper(target)(name, 7)).toEqual({ name: given, renamed: true });
  });

  test("that are one to the target become two", () => {
    const map = nameMapper(mac);
    expect(map("Read.me", 1)).toEqual({ name: "Read.me", renamed: false });
    expect(map("READ.ME", 2)).toEqual({ name: "READ~2.ME", renamed: true });
    expect(map("caf\u00e9", 3).renamed).toBe(false);
    expect(map("cafe\u0301", 4).renamed).toBe(true);
    const exact = nameMapper(posix);
    expect([exact("a", 1), exact("A", 2)].map(({ renamed }) => renamed)).toEqual([false, false]);
  });

  test("are cut where they are too long, in whole letters", () => {
    const { name, renamed } = nameMapper(posix)(`${"長".repeat(255)}.txt`, 12);
    expect(renamed).toBe(true);
    expect(name).toMatch(/^長+~12\.txt$/);
    expect(Buffer.byteLength(name)).toBeLessThanOrEqual(255);
  });

  test("are always one name of the folder, whatever the image says", () => {
    fc.assert(
      fc.property(hostile, fc.constantFrom(posix, mac, windows, zip), (name, target) => {
        const given = nameMapper(target)(name, 99).name;
        expect(given).not.toMatch(/^\.{0,2}$|[/\0]/);
        expect(Buffer.byteLength(given)).toBeLessThanOrEqual(255);
      }),
    );
    fc.assert(
      fc.property(hostile, (name) => {
        const given = nameMapper(windows)(name, 99).name;
        expect(win32.basename(win32.resolve("D:\\x", given))).toBe(given);
        expect(nameMapper(zip)(name, 99).name).not.toMatch(/\\|^[a-z]:/i);
      }),
    );
  });

  test("never become one, and come out the same the second time", () => {
    const names = fc.uniqueArray(fc.string({ unit: fc.constantFrom("a", "A", ".", "~", "1", ":", "/"), maxLength: 4 }));
    fc.assert(
      fc.property(names, fc.constantFrom(mac, windows), (all, target) => {
        const once = nameMapper(target);
        const again = nameMapper(target);
        const given = all.map((name, node) => once(name, node).name);
        expect(all.map((name, node) => again(name, node).name)).toEqual(given);
        expect(new Set(given.map((name) => name.normalize("NFC").toLowerCase())).size).toBe(all.length);
      }),
    );
  });
});
