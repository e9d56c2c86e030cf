import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { attemptId, parseRunId, type AttemptId } from "../../../shared/core/ids.ts";
import { pointIdOf } from "../../../shared/core/point-id.ts";
import {
  instantAttempts,
  mayRemoveSnapshot,
  type SnapshotOwner,
  type SnapshotPoint,
} from "../../../shared/core/snapshot-removal.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import { ulid } from "../../../shared/core/ulid.ts";

const runId = parseRunId(ulid(1_000_000, new Uint8Array(10)));
const snapshot = (attempt: number) => ({ runId, attemptId: attemptId(runId, attempt) });
const none: ReadonlySet<AttemptId> = new Set();
const facts = (owner: SnapshotOwner, now = 1_000_000) => ({
  base: undefined,
  instant: none,
  ownerOf: () => owner,
  now,
});

describe("A snapshot may go", () => {
  test("when its run has ended, but never the base of the next backup", () => {
    expect(mayRemoveSnapshot(snapshot(1), facts({ kind: "ended" }))).toBe(true);
    expect(mayRemoveSnapshot(snapshot(1), { ...facts({ kind: "ended" }), base: attemptId(runId, 1) })).toBe(false);
    expect(mayRemoveSnapshot(snapshot(1), { ...facts({ kind: "ended" }), base: attemptId(runId, 2) })).toBe(true);
  });

  test("when its days for quick restores are over, and not before", () => {
    const kept = { ...facts({ kind: "ended" }), instant: new Set([attemptId(runId, 1)]) };
    expect(mayRemoveSnapshot(snapshot(1), kept)).toBe(false);
    expect(mayRemoveSnapshot(snapshot(2), kept)).toBe(true);
  });

  test("while its run goes on only where it is of an earlier attempt", () => {
    const active = facts({ kind: "active", attemptId: attemptId(runId, 10) });
    expect(mayRemoveSnapshot(snapshot(9), active)).toBe(true);
    expect(mayRemoveSnapshot(snapshot(10), active)).toBe(false);
    expect(mayRemoveSnapshot(snapshot(11), active)).toBe(false);
    expect(mayRemoveSnapshot(snapshot(1), facts({ kind: "active", attemptId: undefined }))).toBe(false);
  });

  test("when nobody knows its run only after no session can be that old", () => {
    expect(mayRemoveSnapshot(snapshot(1), facts({ kind: "unknown" }, 1_000_000 + 25 * 3_600_000))).toBe(false);
    expect(mayRemoveSnapshot(snapshot(1), facts({ kind: "unknown" }, 1_000_001 + 25 * 3_600_000))).toBe(true);
  });
});

describe("The snapshots that stay for quick restores", () => {
  const dayMs = 86_400_000;
  const now = Date.UTC(2026, 10, 21);
  const pointAt = (ageMs: number): SnapshotPoint => {
    const at = now - ageMs;
    const attempt = attemptId(parseRunId(ulid(at, new Uint8Array(10))), 1);
    return { attemptId: attempt, pointId: pointIdOf(attempt, timestamp(at)), snapshotAt: timestamp(at) };
  };

  test("are those of the last days, to the millisecond", () => {
    const [inside, outside] = [pointAt(2 * dayMs - 1), pointAt(2 * dayMs)];
    const kept = instantAttempts([outside, inside], { days: 2, most: 10, now });
    expect([...kept]).toEqual([inside.attemptId]);
    expect(instantAttempts([pointAt(0)], { days: 0, most: 10, now }).size).toBe(0);
  });

  test("are a newest part of all, never more than the most, and only those of the last days", () => {
    const ages = fc.uniqueArray(fc.nat(40 * dayMs), { maxLength: 30 });
    fc.assert(
      fc.property(ages, fc.nat(30), fc.nat(20), (found, days, most) => {
        const points = found.map(pointAt);
        const kept = instantAttempts(points, { days, most, now });
        const byAge = found.toSorted((a, b) => a - b).map(pointAt);
        const wanted = byAge.filter((_, i) => (found.toSorted((a, b) => a - b)[i] ?? 0) < days * dayMs).slice(0, most);
        expect(kept).toEqual(new Set(wanted.map((point) => point.attemptId)));
      }),
    );
  });

  test("and the base are all that mayRemoveSnapshot keeps of runs that have ended", () => {
    const owner: SnapshotOwner = { kind: "ended" };
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 20 })), fc.integer({ min: 1, max: 20 }), (kept, base) => {
        const instant = new Set(kept.map((attempt) => attemptId(runId, attempt)));
        const all = Array.from({ length: 20 }, (_, i) => snapshot(i + 1));
        const left = all.filter(
          (one) => !mayRemoveSnapshot(one, { ...facts(owner), base: attemptId(runId, base), instant }),
        );
        expect(new Set(left.map((one) => one.attemptId))).toEqual(new Set([...instant, attemptId(runId, base)]));
      }),
    );
  });
});
