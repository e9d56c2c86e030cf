import { describe, expect, test } from "vitest";
import { collections, keyText } from "../../../../shared/wire/catalog/collections.ts";
import { decodeRow, encodeRow } from "../../../../shared/wire/catalog/row.ts";
import { samplePolicy } from "../../../support/sample-rows.ts";

const definition = collections.policies;
const key = definition.rowKeyOf(samplePolicy.name);

describe("A catalog row", () => {
  test("holds its value as JSON in document0 and the version of its schema beside it", () => {
    expect(encodeRow(definition, samplePolicy)).toEqual({
      schemaVersion: 1,
      document0: JSON.stringify(samplePolicy),
    });
  });

  test("cuts a long document into parts of 32,000 characters, all of them ASCII", () => {
    const cron = `${"x".repeat(31_000)}${"💾".repeat(400)}`;
    const value = { ...samplePolicy, schedule: { cron, timeZone: "UTC", jitterSeconds: 0 } };
    const row = encodeRow(definition, value);
    const parts = Object.entries(row).flatMap(([name, part]) => (name.startsWith("document") ? [String(part)] : []));
    expect(parts.map((part) => part.length)).toEqual([32_000, expect.any(Number)]);
    expect(parts.every((part) => /^[\x20-\x7e]+$/.test(part))).toBe(true);
    expect(decodeRow(definition, key, row)).toEqual(value);
  });

  test.each([
    ["of a newer release", { schemaVersion: 2, document0: "{}" }, /version 2.*Update Farside/],
    ["without a version", { document0: JSON.stringify(samplePolicy) }, /version/],
    ["without a document", { schemaVersion: 1 }, /does not hold JSON/],
    ["that lost a part", { schemaVersion: 1, document0: "{" }, /does not hold JSON/],
    ["with an unknown property", { schemaVersion: 1, document0: JSON.stringify({ ...samplePolicy, x: 1 }) }, /"x"/],
    ["with a bad id", { schemaVersion: 1, document0: JSON.stringify({ ...samplePolicy, name: "/" }) }, /name:/],
  ])("%s is an internal error that names table and key", (_, row, why) => {
    const read = () => decodeRow(definition, key, row);
    expect(read).toThrow(why);
    expect(read).toThrow(/all\/nightly of the table farsidepolicies/);
    expect(read).toThrow(expect.objectContaining({ code: "internal" }));
  });
});

describe("The text of a table key", () => {
  test("keeps no letter that tables refuse, and two texts never share one", () => {
    expect(keyText("a/b\\c#d?e~é")).toBe("a~2fb~5cc~23d~3fe~7e~c3~a9");
    expect(keyText("a~2fb")).not.toBe(keyText("a/b"));
  });
});
