import { describe, expect, test } from "vitest";
import { cronCalendar } from "../../../../shared/adapters/local/cron-calendar.ts";
import { parseTimestamp, type Timestamp } from "../../../../shared/core/timestamp.ts";

const at = (text: string): Timestamp => parseTimestamp(text.replace("Z", ":00.000Z"));
const schedule = (cron: string, timeZone = "UTC") => ({ cron, timeZone, jitterSeconds: 0 });

function instants(cron: string, timeZone: string, from: string, count: number): string[] {
  const found: string[] = [];
  let after = at(from);
  while (found.length < count) {
    const next = cronCalendar.next(schedule(cron, timeZone), after);
    if (next === undefined) break;
    found.push(next.replace(":00.000Z", "Z"));
    after = next;
  }
  return found;
}

describe("A schedule is refused", () => {
  test.each([
    ["0 0 30 2 *", "UTC", /never fires/],
    ["0 0 31 4 *", "UTC", /never fires/],
    ["60 * * * *", "UTC", /minute: 60/],
    ["a b c d e", "UTC", /not valid/],
    ["* * * *", "UTC", /4 fields/],
    ["* * * * * * 2020", "UTC", /7 fields/],
    ["@daily", "UTC", /1 fields/],
    ["2026-01-01T00:00:00", "UTC", /1 fields/],
    ["", "UTC", /0 fields/],
    ["0 2 * * *", "Mars/Olympus", /no time zone "Mars\/Olympus"/],
  ])("%s in %s", (cron, timeZone, why) => {
    const check = () => cronCalendar.check(schedule(cron, timeZone));
    expect(check).toThrow(why);
    expect(check).toThrow(expect.objectContaining({ code: "bad-input" }));
  });

  test("but not one of five or six fields that fires, if only every fourth year", () => {
    for (const cron of ["0 2 * * *", "0 0 2 * * *", "0 0 29 2 *", "0 0 L * *", "*/5 8-18 * * MON-FRI"]) {
      expect(() => cronCalendar.check(schedule(cron, "Australia/Lord_Howe"))).not.toThrow();
    }
  });
});

describe("A time that the clock skips in spring comes when the clock has jumped", () => {
  test.each([
    ["Europe/Berlin", "30 2 * * *", "2026-03-28T12:00Z", ["2026-03-29T01:00Z", "2026-03-30T00:30Z"]],
    ["America/New_York", "30 2 * * *", "2026-03-07T12:00Z", ["2026-03-08T07:00Z", "2026-03-09T06:30Z"]],
    ["Australia/Lord_Howe", "15 2 * * *", "2026-10-03T00:00Z", ["2026-10-03T15:30Z", "2026-10-04T15:15Z"]],
  ])("in %s", (timeZone, cron, from, expected) => {
    expect(instants(cron, timeZone, from, 2)).toEqual(expected);
  });
});

describe("A time that comes twice in autumn counts once, the first time", () => {
  test.each([
    ["Europe/Berlin", "30 2 * * *", "2026-10-24T12:00Z", ["2026-10-25T00:30Z", "2026-10-26T01:30Z"]],
    ["America/New_York", "30 1 * * *", "2026-10-31T12:00Z", ["2026-11-01T05:30Z", "2026-11-02T06:30Z"]],
    ["Australia/Lord_Howe", "45 1 * * *", "2026-04-04T00:00Z", ["2026-04-04T14:45Z", "2026-04-05T15:15Z"]],
  ])("in %s", (timeZone, cron, from, expected) => {
    expect(instants(cron, timeZone, from, 2)).toEqual(expected);
  });
});

describe("A rule for every hour or quarter goes on through both changes", () => {
  test.each([
    ["Europe/Berlin", "0 * * * *", "2026-10-24T22:30Z", 60],
    ["Europe/Berlin", "0 * * * *", "2026-03-28T22:30Z", 60],
    ["America/New_York", "*/15 * * * *", "2026-11-01T04:00Z", 15],
    ["Australia/Lord_Howe", "*/15 * * * *", "2026-04-04T14:00Z", 15],
  ])("in %s: %s", (timeZone, cron, from, minutes) => {
    const found = instants(cron, timeZone, from, 20).map((text) => Date.parse(text));
    const steps = found.slice(1).map((instant, i) => (instant - (found[i] ?? 0)) / 60_000);
    expect(new Set(steps)).toEqual(new Set([minutes]));
  });
});

describe("The last instant of a span", () => {
  test("begins after the span's beginning and includes its end", () => {
    const daily = schedule("0 2 * * *");
    expect(cronCalendar.lastBetween(daily, at("2026-01-01T02:00Z"), at("2026-01-02T01:59Z"))).toBeUndefined();
    expect(cronCalendar.lastBetween(daily, at("2026-01-01T02:00Z"), at("2026-01-02T02:00Z"))).toBe(
      at("2026-01-02T02:00Z"),
    );
    expect(cronCalendar.lastBetween(daily, at("2026-01-01T01:59Z"), at("2026-01-02T01:59Z"))).toBe(
      at("2026-01-01T02:00Z"),
    );
    expect(cronCalendar.lastBetween(daily, at("2026-01-02T00:00Z"), at("2026-01-01T00:00Z"))).toBeUndefined();
  });

  test.each([
    "* * * * * *",
    "* * * * *",
    "*/7 * * * *",
    "0 */6 * * *",
    "30 2 * * *",
    "0 3 * * SUN",
    "0 0 1 * *",
    "0 0 1 1 *",
    "0 0 29 2 *",
  ])("of %s is found at once after years of downtime, and is the one that going forward finds", (cron) => {
    const rule = schedule(cron, "Europe/Berlin");
    const begin = performance.now();
    const last = cronCalendar.lastBetween(rule, at("2018-01-01T00:00Z"), at("2026-10-25T00:45Z"));
    expect(performance.now() - begin).toBeLessThan(250);
    if (last === undefined) throw new Error("None was found.");
    const following = cronCalendar.next(rule, last);
    expect(last <= at("2026-10-25T00:45Z")).toBe(true);
    expect(following === undefined || following > at("2026-10-25T00:45Z")).toBe(true);
  });

  test("is the same, wherever the span begins, through both changes of the clock", () => {
    for (const timeZone of ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe"]) {
      for (const day of ["2026-03-08", "2026-03-29", "2026-04-05", "2026-10-04", "2026-10-25", "2026-11-01"]) {
        for (const cron of ["30 2 * * *", "45 1 * * *", "*/20 * * * *"]) {
          const begin = Date.parse(`${day}T00:00:00.000Z`) - 86_400_000;
          const forward: number[] = [];
          let after = parseTimestamp(new Date(begin).toISOString());
          for (;;) {
            const next = cronCalendar.next(schedule(cron, timeZone), after);
            if (next === undefined || Date.parse(next) > begin + 3 * 86_400_000) break;
            forward.push(Date.parse(next));
            after = next;
          }
          for (let upTo = begin + 3_600_000; upTo < begin + 3 * 86_400_000; upTo += 4 * 3_600_000 + 60_000) {
            const last = cronCalendar.lastBetween(
              schedule(cron, timeZone),
              parseTimestamp(new Date(begin).toISOString()),
              parseTimestamp(new Date(upTo).toISOString()),
            );
            expect(last === undefined ? undefined : Date.parse(last)).toBe(
              forward.findLast((instant) => instant <= upTo),
            );
          }
        }
      }
    }
  });
});
