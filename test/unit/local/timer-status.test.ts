import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseNcrontab } from "../../../local/host/ncrontab.ts";
import { afterRun, planStart, statusFromJson, statusToJson } from "../../../local/host/timer-status.ts";

const hourly = parseNcrontab("0 0 * * * *", "x");
const at = (text: string): number => Date.parse(`2026-05-01T${text}Z`);

describe("A timer at a start", () => {
  test("that was never seen waits for its next occurrence", () => {
    expect(planStart(undefined, hourly, at("10:30:00"))).toEqual({
      status: { last: undefined, next: at("11:00:00"), lastUpdated: at("10:30:00") },
      changed: true,
      isPastDue: false,
    });
  });

  test("whose next occurrence has passed is past due, before as after its first run", () => {
    const ran = { last: at("10:00:00"), next: at("11:00:00"), lastUpdated: at("10:00:00") };
    const neverRan = { last: undefined, next: at("11:00:00"), lastUpdated: at("10:30:00") };
    for (const status of [ran, neverRan]) {
      expect(planStart(status, hourly, at("10:59:59"))).toEqual({ status, changed: false, isPastDue: false });
      expect(planStart(status, hourly, at("17:59:59"))).toEqual({ status, changed: false, isPastDue: true });
    }
  });

  test("whose schedule was changed is not past due, and its status follows the new one", () => {
    const daily = { last: at("00:00:00"), next: at("24:00:00"), lastUpdated: at("00:00:00") };
    expect(planStart(daily, hourly, at("10:30:00"))).toEqual({
      status: { last: undefined, next: at("11:00:00"), lastUpdated: at("10:30:00") },
      changed: true,
      isPastDue: false,
    });
    const minutely = { last: at("10:30:00"), next: at("10:31:00"), lastUpdated: at("10:30:00") };
    expect(planStart(minutely, hourly, at("10:40:00"))).toEqual({
      status: { last: undefined, next: at("11:00:00"), lastUpdated: at("10:30:00") },
      changed: true,
      isPastDue: false,
    });
  });
});

describe("The status after a run", () => {
  const before = { last: at("10:00:00"), next: at("11:00:00"), lastUpdated: at("10:00:00") };

  test("that was fired a little early counts as on time, so that its occurrence does not come twice", () => {
    const status = afterRun(before, hourly, at("10:59:59.990"), false);
    expect(status).toEqual({ last: at("11:00:00"), next: at("12:00:00"), lastUpdated: at("11:00:00") });
  });

  test("that came late or caught up follows from when it was", () => {
    const late = afterRun(before, hourly, at("11:00:00.200"), false);
    expect(late).toEqual({ last: at("11:00:00.200"), next: at("12:00:00"), lastUpdated: at("11:00:00.200") });
    expect(afterRun(before, hourly, at("10:30:00"), true).next).toBe(at("11:00:00"));
  });

  test("is never taken for one of another schedule by the next start, and a restart at once is never past due", () => {
    const instant = fc.integer({ min: at("00:00:00"), max: at("23:59:59") });
    fc.assert(
      fc.property(fc.constantFrom("0 0 * * * *", "0 */7 * * * *", "0 30 9 * * MON-FRI"), instant, (text, now) => {
        const schedule = parseNcrontab(text, "x");
        const first = planStart(undefined, schedule, now).status;
        const ran = afterRun(first, schedule, first.next + 3, false);
        const stored = statusFromJson(JSON.parse(JSON.stringify(statusToJson(ran))));
        expect(stored).toEqual(ran);
        expect(planStart(stored, schedule, ran.next - 1)).toEqual({ status: ran, changed: false, isPastDue: false });
      }),
    );
  });
});

describe("A stored status", () => {
  test("without a run has .NET's date of nothing, in whatever offset", () => {
    const status = { last: undefined, next: at("11:00:00"), lastUpdated: at("10:00:00") };
    expect(statusToJson(status)).toEqual({
      Last: "0001-01-01T00:00:00+00:00",
      Next: "2026-05-01T11:00:00.000+00:00",
      LastUpdated: "2026-05-01T10:00:00.000+00:00",
    });
    const next = "2026-05-01T13:00:00+02:00";
    expect(statusFromJson({ Last: "0001-01-01T00:00:00", Next: next, LastUpdated: next })).toEqual({
      last: undefined,
      next: at("11:00:00"),
      lastUpdated: at("11:00:00"),
    });
  });

  test("that cannot be read is none", () => {
    for (const value of [undefined, null, "x", {}, { Next: "x" }, { Next: "2026-05-01T00:00:00Z" }]) {
      expect(statusFromJson(value)).toBeUndefined();
    }
  });
});
