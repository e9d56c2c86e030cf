import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parsePolicyName, parseVmId } from "../../../shared/core/ids.ts";
import type { Policy } from "../../../shared/core/policy.ts";
import { jitterMs, openSince, scheduledRunId, startDelayMs } from "../../../shared/core/schedule-slots.ts";
import { addMs, epochMs, timestamp } from "../../../shared/core/timestamp.ts";
import { ulidEpochMs } from "../../../shared/core/ulid.ts";

const slot = timestamp(Date.UTC(2026, 2, 29, 1));
const now = epochMs(slot) + 90_000;
const policy: Policy = {
  name: parsePolicyName("p"),
  retention: { keepLast: 1 },
  consistency: { wanted: "crash", least: "crash" },
  rpoSeconds: 1,
  retryWindowSeconds: 1,
  freezeTtlSeconds: 1,
  pauseReplication: false,
  usnRollback: "warn",
  createdAt: addMs(slot, -86_400_000),
  updatedAt: addMs(slot, -3_600_000),
};

describe("A run's id", () => {
  test("comes from VM and slot alone, and carries the slot's time", () => {
    const id = scheduledRunId(parseVmId("web"), slot);
    expect(scheduledRunId(parseVmId("web"), slot)).toBe(id);
    expect(scheduledRunId(parseVmId("db"), slot)).not.toBe(id);
    expect(scheduledRunId(parseVmId("web"), addMs(slot, 1))).not.toBe(id);
    expect(ulidEpochMs(id)).toBe(epochMs(slot));
  });
});

describe("A VM's place in the jitter", () => {
  test("is always its own, and spread over all of it", () => {
    const places = Array.from({ length: 400 }, (_, i) => jitterMs(parseVmId(`vm-${i}`), 100));
    expect(Math.min(...places)).toBeLessThan(2000);
    expect(Math.max(...places)).toBeGreaterThan(98_000);
    expect(Math.max(...places)).toBeLessThan(100_000);
    expect(jitterMs(parseVmId("web"), 0)).toBe(0);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 999 }), fc.integer({ min: 0, max: 86_400 }), (i, seconds) => {
        const vm = parseVmId(`vm-${i}`);
        return jitterMs(vm, seconds) === jitterMs(vm, seconds) && jitterMs(vm, seconds) <= seconds * 1000;
      }),
    );
  });

  test("is waited for, and not before now", () => {
    expect(startDelayMs(slot, 100_000, now)).toBe(10_000);
    expect(startDelayMs(slot, 20_000, now)).toBe(0);
  });
});

describe("Slots are open", () => {
  test("since the cursor; without one, since the policy's last change", () => {
    expect(openSince(policy, slot, now)).toBe(slot);
    expect(openSince(policy, undefined, now)).toBe(policy.updatedAt);
  });

  test("not before the policy was made: it does not inherit what its namesake missed", () => {
    expect(openSince(policy, addMs(policy.createdAt, -1000), now)).toBe(policy.createdAt);
  });

  test("for a day, where the cursor lies ahead of the clock; a little ahead is only another instance's clock", () => {
    expect(openSince(policy, addMs(slot, 365 * 86_400_000), now)).toBe(timestamp(now - 86_400_000));
    expect(openSince(policy, timestamp(now + 60_000), now)).toBe(timestamp(now + 60_000));
  });
});
