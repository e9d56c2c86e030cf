import * as fc from "fast-check";
import { expect, test } from "vitest";
import { timestamp } from "../../../../shared/core/timestamp.ts";
import { collectionDelayMs, longestSessionMs, reuseWindowMs } from "../../../../shared/core/vault/limits.ts";
import { isParentGone, isTooLate, mayReuse } from "../../../../shared/core/vault/session-rules.ts";

const t0 = Date.parse("2026-11-21T08:00:00.000Z");

test("A chunk is reused within seven days before the session began, and a manifest counts within a day after", () => {
  const reuse = (ms: number) => mayReuse(timestamp(t0 - ms), timestamp(t0));
  expect([reuse(reuseWindowMs), reuse(reuseWindowMs + 1000), reuse(0), reuse(-longestSessionMs)]).toEqual([
    true,
    false,
    true,
    true,
  ]);
  const late = (ms: number) => isTooLate(timestamp(t0), timestamp(t0 + ms));
  expect([late(longestSessionMs), late(longestSessionMs + 1000)]).toEqual([false, true]);
  const gone = (ms: number) => isParentGone(timestamp(t0), timestamp(t0 + ms));
  expect([gone(longestSessionMs), gone(longestSessionMs + 1000)]).toEqual([false, true]);
});

test("No collection that can miss a session's manifest reaches a chunk that the session may reuse", () => {
  const ms = fc.integer({ min: -40 * 86_400_000, max: 40 * 86_400_000 });
  fc.assert(
    fc.property(ms, ms, (writtenAfter, collectedAfter) => {
      const lastModified = t0 + writtenAfter;
      const g0 = t0 + collectedAfter;
      // It misses the manifest only if it began before the last moment at which that may be written.
      fc.pre(g0 <= t0 + longestSessionMs && mayReuse(timestamp(lastModified), timestamp(t0)));
      expect(lastModified < g0 - collectionDelayMs).toBe(false);
    }),
    { numRuns: 2000 },
  );
});
