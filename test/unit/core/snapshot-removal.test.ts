import { describe, expect, test } from "vitest";
import { attemptId, parseRunId } from "../../../shared/core/ids.ts";
import { mayRemoveSnapshot, type SnapshotOwner } from "../../../shared/core/snapshot-removal.ts";
import { ulid } from "../../../shared/core/ulid.ts";

const runId = parseRunId(ulid(1_000_000, new Uint8Array(10)));
const snapshot = (attempt: number) => ({ runId, attemptId: attemptId(runId, attempt) });
const facts = (owner: SnapshotOwner, now = 1_000_000) => ({ base: undefined, ownerOf: () => owner, now });

describe("A snapshot may go", () => {
  test("when its run has ended, but never the base of the next backup", () => {
    expect(mayRemoveSnapshot(snapshot(1), facts({ kind: "ended" }))).toBe(true);
    expect(mayRemoveSnapshot(snapshot(1), { ...facts({ kind: "ended" }), base: attemptId(runId, 1) })).toBe(false);
    expect(mayRemoveSnapshot(snapshot(1), { ...facts({ kind: "ended" }), base: attemptId(runId, 2) })).toBe(true);
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
