import { describe, expect, test } from "vitest";
import { attemptId, parsePolicyName, parseRunId, parseVmId, parseVmName } from "../../../shared/core/ids.ts";
import { reconcileAction } from "../../../shared/core/reconcile-decision.ts";
import {
  type BackupIn,
  claimAttempt,
  endRun,
  leaseHolds,
  leaseMs,
  putBack,
  withFreeze,
} from "../../../shared/core/run-transitions.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import { ulid } from "../../../shared/core/ulid.ts";

const minute = 60_000;
const budget = 5 * minute;
const queued: BackupIn<"queued"> = {
  kind: "backup",
  runId: parseRunId(ulid(0, new Uint8Array(10))),
  vm: parseVmName("web"),
  vmId: parseVmId("web"),
  createdAt: timestamp(0),
  trigger: { kind: "on-demand" },
  policy: parsePolicyName("p"),
  wanted: "application",
  least: "crash",
  retryUntil: timestamp(60 * minute),
  attempt: 0,
  state: "queued",
  notBefore: timestamp(0),
};

describe("A run's row", () => {
  test("keeps what it waited for through an attempt, and loses what its next state has no place for", () => {
    const waiting = { condition: "guest-failed", tries: 2 };
    const claimed = claimAttempt({ ...queued, waiting }, minute, leaseMs(budget));
    expect(claimed).toMatchObject({ state: "snapshotting", attempt: 1, waited: waiting, startedAt: timestamp(minute) });
    expect(claimed).not.toHaveProperty("notBefore");
    const back = putBack(claimed, { condition: "guest-failed", tries: 3 }, timestamp(2 * minute));
    expect(back).toEqual({
      ...queued,
      attempt: 1,
      startedAt: timestamp(minute),
      notBefore: timestamp(2 * minute),
      waiting: { condition: "guest-failed", tries: 3 },
    });
    expect(claimAttempt(back, 3 * minute, 1)).toMatchObject({
      attemptId: attemptId(queued.runId, 2),
      startedAt: timestamp(minute),
    });
  });

  test("takes a freeze along into its end, for somebody to undo", () => {
    const token = attemptId(queued.runId, 1);
    const freeze = { guestUrl: "https://guest.example", requestedAt: timestamp(0), ttlSeconds: 60, token };
    const frozen = withFreeze(claimAttempt(queued, 0, 1), freeze);
    const failed = endRun(frozen, "failed", { code: "poisoned", message: "x" }, minute);
    expect(failed).toMatchObject({ state: "failed", freeze, cleanUp: "pending", finishedAt: timestamp(minute) });
    expect(failed).not.toHaveProperty("leaseUntil");
  });
});

describe("A lease", () => {
  test("holds until its time, unless that lies further ahead than any lease given now", () => {
    const until = timestamp(10 * minute);
    expect(leaseHolds(until, 9 * minute, budget)).toBe(true);
    expect(leaseHolds(until, 10 * minute, budget)).toBe(false);
    expect(leaseHolds(until, -24 * 60 * minute, budget)).toBe(false);
  });
});

describe("The reconciler", () => {
  test("leaves a run that waits for its time, and sends the message of one whose time has long passed", () => {
    expect(reconcileAction(queued, 4 * minute, budget)).toEqual({ kind: "leave" });
    expect(reconcileAction(queued, 6 * minute, budget)).toEqual({ kind: "resend" });
    const delayed = { ...queued, notBefore: timestamp(60 * minute) };
    expect(reconcileAction(delayed, 6 * minute, budget)).toEqual({ kind: "leave" });
    // Written by a clock that was a year ahead: not worth waiting for.
    const ahead = { ...queued, createdAt: timestamp(365 * 1440 * minute), notBefore: timestamp(365 * 1440 * minute) };
    expect(reconcileAction(ahead, 6 * minute, budget)).toEqual({ kind: "resend" });
  });

  test("takes an attempt back when its lease is over, and ends what was cancelled", () => {
    const claimed = claimAttempt(queued, 0, leaseMs(budget));
    expect(reconcileAction(claimed, 9 * minute, budget)).toEqual({ kind: "leave" });
    expect(reconcileAction(claimed, 10 * minute, budget)).toEqual({ kind: "recover-attempt" });
    expect(reconcileAction({ ...queued, cancelRequestedAt: timestamp(1) }, 2, budget)).toEqual({ kind: "cancel" });
    const ended = endRun(queued, "cancelled", { code: "cancelled", message: "x" }, 0);
    expect(reconcileAction(ended, 0, budget)).toEqual({ kind: "clean-up", run: ended });
    expect(reconcileAction({ ...ended, cleanUp: "done" }, 0, budget)).toEqual({ kind: "leave" });
  });
});
