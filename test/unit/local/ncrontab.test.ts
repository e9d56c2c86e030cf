import { Cron } from "croner";
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseNcrontab } from "../../../local/host/ncrontab.ts";

const after = (schedule: string, from: string): string =>
  new Date(parseNcrontab(schedule, "The test").next(Date.parse(from))).toISOString().slice(0, 19);

describe("An NCRONTAB schedule", () => {
  test("has six fields, or five without seconds", () => {
    expect(after("0 */5 * * * *", "2026-03-01T10:03:20Z")).toBe("2026-03-01T10:05:00");
    expect(after("*/5 * * * *", "2026-03-01T10:03:20Z")).toBe("2026-03-01T10:05:00");
    expect(after("30 0 2 * * *", "2026-03-01T02:00:29.999Z")).toBe("2026-03-01T02:00:30");
  });

  test("occurs strictly after the instant it is asked about", () => {
    expect(after("0 0 * * * *", "2026-03-01T10:00:00Z")).toBe("2026-03-01T11:00:00");
    expect(after("0 0 * * * *", "2026-03-01T09:59:59.999Z")).toBe("2026-03-01T10:00:00");
  });

  test("needs both the day and the day of week, where other crons need either", () => {
    // The first Monday the 13th after that day.
    expect(after("0 0 0 13 * MON", "2026-01-01T00:00:00Z")).toBe("2026-04-13T00:00:00");
    const otherCron = new Cron("0 0 0 13 * MON", { timezone: "UTC" }).nextRun(new Date("2026-01-01T00:00:00Z"));
    expect(otherCron?.toISOString().slice(0, 10), "the control").toBe("2026-01-05");
  });

  test("turns a range round that runs backwards, and takes names by their beginnings", () => {
    expect(after("0 0 0 * * FRI-MON", "2026-11-20T12:00:00Z"), "Friday, then Monday").toBe("2026-11-23T00:00:00");
    expect(after("0 0 0 * * Saturday", "2026-11-20T12:00:00Z")).toBe("2026-11-21T00:00:00");
    expect(after("0 0 0 1 feb *", "2026-11-20T12:00:00Z")).toBe("2027-02-01T00:00:00");
  });

  test("knows steps of everything, of a range and from a number on", () => {
    expect(after("0 7/20 * * * *", "2026-01-01T00:08:00Z")).toBe("2026-01-01T00:27:00");
    expect(after("0 7/20 * * * *", "2026-01-01T00:48:00Z")).toBe("2026-01-01T01:07:00");
    expect(after("0 10-30/10 * * * *", "2026-01-01T00:21:00Z")).toBe("2026-01-01T00:30:00");
    expect(after("0 1,2,40-50/5 * * * *", "2026-01-01T00:41:00Z")).toBe("2026-01-01T00:45:00");
  });

  test("finds the 29th of February, over a century without one", () => {
    expect(after("0 0 0 29 2 *", "2026-01-01T00:00:00Z")).toBe("2028-02-29T00:00:00");
    expect(after("0 0 0 29 2 *", "2096-03-01T00:00:00Z")).toBe("2104-02-29T00:00:00");
    expect(after("0 0 0 29 2 MON", "2032-03-01T00:00:00Z")).toBe("2044-02-29T00:00:00");
  });

  test.each([
    ["0 0 30 2 *", /never occurs/],
    ["* * *", /3 fields and not 6 or 5/],
    ["0 0 0 0 * * *", /7 fields/],
    ["60 * * * * *", /second 60 is not between 0 and 59/],
    ["0 0 0 * * 7", /day of week 7 is not between 0 and 6/],
    ["0 0 0 L * *", /"L" is no day/],
    ["0 0 0 * * MON#1", /is no day of week/],
    ["0 */0 * * * *", /is no minute/],
    ["0 1-2-3 * * * *", /is no minute/],
    ["0 , * * * *", /is no minute/],
    ["@daily", /1 fields/],
    ["00:05:00", /1 fields/],
  ])("refuses %s and says why", (schedule, problem) => {
    expect(() => parseNcrontab(schedule, "The function x")).toThrow(problem);
    expect(() => parseNcrontab(schedule, "The function x")).toThrow(/^The function x has the schedule/);
  });

  test("agrees with another implementation, asked for day and day of week, on random schedules", () => {
    const item = (min: number, max: number): fc.Arbitrary<string> =>
      fc.oneof(
        { weight: 3, arbitrary: fc.constant("*") },
        fc.integer({ min, max }).map(String),
        fc
          .tuple(fc.integer({ min, max }), fc.integer({ min, max }))
          .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
        fc.integer({ min: 1, max: max - min }).map((step) => `*/${step}`),
      );
    const list = (min: number, max: number): fc.Arbitrary<string> =>
      fc.array(item(min, max), { minLength: 1, maxLength: 2 }).map((items) => items.join(","));
    const schedule = fc
      .tuple(list(0, 59), list(0, 59), list(0, 23), list(1, 28), list(1, 12), list(0, 6))
      .map((parts) => parts.join(" "));
    const instant = fc.integer({ min: Date.UTC(2020, 0), max: Date.UTC(2040, 0) });
    fc.assert(
      fc.property(schedule, instant, (text, from) => {
        const other = new Cron(text, { timezone: "UTC", domAndDow: true, paused: true });
        expect(parseNcrontab(text, "x").next(from)).toBe(other.nextRun(new Date(from))?.getTime());
      }),
      { numRuns: 300 },
    );
  });
});
