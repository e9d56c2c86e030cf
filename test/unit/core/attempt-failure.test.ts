import { describe, expect, test } from "vitest";
import { afterFailure, givesUpGuest } from "../../../shared/core/attempt-failure.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";

const hour = 3_600_000;
const facts = { waited: undefined, retryUntil: timestamp(hour), least: "filesystem", now: 0, fraction: 0 } as const;
const throttled = new FarsideError("throttled", "Slow down.", { retryAfterMs: 90_000 });

describe("An attempt that failed", () => {
  test("waits, each time of the same kind longer", () => {
    const obstacle = { kind: "condition", condition: "provisioning" } as const;
    const first = afterFailure(obstacle, facts);
    expect(first).toEqual({ kind: "wait", waiting: { condition: "provisioning", tries: 1 }, delayMs: 30_000 });
    const second = afterFailure(obstacle, { ...facts, waited: { condition: "provisioning", tries: 1 } });
    expect(second).toEqual({ kind: "wait", waiting: { condition: "provisioning", tries: 2 }, delayMs: 60_000 });
    const other = afterFailure(obstacle, { ...facts, waited: { condition: "migration-in-progress", tries: 5 } });
    expect(other).toMatchObject({ waiting: { tries: 1 }, delayMs: 30_000 });
  });

  test("waits at least as long as a service asked for", () => {
    expect(afterFailure({ kind: "error", error: throttled }, facts)).toMatchObject({ delayMs: 90_000 });
  });

  test("is the end where the error says that repeating cannot mend it", () => {
    const error = new FarsideError("not-found", "The disk is gone.");
    expect(afterFailure({ kind: "error", error }, facts)).toEqual({
      kind: "fail",
      error: { code: "not-found", message: "The disk is gone." },
    });
  });

  test("is the end when the next try would come after the retry window, with what stood in the way named", () => {
    const late = { ...facts, now: hour - 10_000 };
    const condition = afterFailure({ kind: "condition", condition: "host-maintenance" }, late);
    expect(condition).toMatchObject({
      kind: "fail",
      error: { code: "not-ready", details: { condition: "host-maintenance" } },
    });
    expect(afterFailure({ kind: "error", error: throttled }, late)).toMatchObject({ error: { code: "throttled" } });
    const guest = new FarsideError("guest-failed", "No answer.");
    expect(afterFailure({ kind: "error", error: guest }, late)).toMatchObject({
      error: { code: "consistency-not-met" },
    });
  });

  test("of an unknown kind is tried again: a defect may lie in the moment", () => {
    expect(afterFailure({ kind: "error", error: new TypeError("undefined") }, facts)).toMatchObject({
      kind: "wait",
      waiting: { condition: "internal" },
    });
  });
});

describe("The guest is given up", () => {
  test("for a last try at once where the retry window has no room for more, and only where crash is accepted", () => {
    const guest = { kind: "error", error: new FarsideError("guest-failed", "No answer.") } as const;
    const late = { ...facts, now: hour - 10_000 };
    expect(afterFailure(guest, { ...late, least: "crash" })).toEqual({
      kind: "wait",
      waiting: { condition: "guest-failed", tries: 3 },
      delayMs: 0,
    });
    expect(afterFailure(guest, { ...late, least: "filesystem" })).toMatchObject({ kind: "fail" });
    // The control: nothing but the guest can be done without.
    const other = { kind: "error", error: throttled } as const;
    expect(afterFailure(other, { ...late, least: "crash" })).toMatchObject({ kind: "fail" });
  });

  test("after three tries, and only where crash is accepted", () => {
    expect(givesUpGuest({ condition: "guest-failed", tries: 3 }, "crash")).toBe(true);
    expect(givesUpGuest({ condition: "guest-failed", tries: 2 }, "crash")).toBe(false);
    expect(givesUpGuest({ condition: "guest-failed", tries: 9 }, "filesystem")).toBe(false);
    expect(givesUpGuest({ condition: "provisioning", tries: 9 }, "crash")).toBe(false);
    expect(givesUpGuest(undefined, "crash")).toBe(false);
  });
});
