/**
 * What follows from an attempt that did not get its snapshots: another try later, or the end.
 *
 * 1. What may pass by itself (advice `retry`, a transient condition, a defect even) is tried again, with growing delays, until the
 *    run's retry window ends; the run then fails with what stood in its way last.
 * 2. A guest that could not be frozen is given `guestTries` tries, or as many as the retry window has room for; then the attempt
 *    goes on without it, where the policy's least allows that.
 * 3. A VM is stopped for its snapshots `mostStops` times in a run, and no more.
 */
import type { ConsistencyLevel } from "./consistency.ts";
import { satisfies } from "./consistency.ts";
import { FarsideError, errorRecord, type ErrorRecord } from "./errors.ts";
import type { TransientCondition } from "./preflight.ts";
import { conditionTexts, retryDelayMs } from "./preflight.ts";
import type { Waiting } from "./run.ts";
import type { Timestamp } from "./timestamp.ts";
import { epochMs } from "./timestamp.ts";

const guestTries = 3;
/** Each costs somebody minutes: what did not work out then is for a person to look at. */
export const mostStops = 3;

export type Obstacle =
  | { readonly kind: "condition"; readonly condition: TransientCondition }
  | { readonly kind: "error"; readonly error: unknown };

export type AfterFailure =
  | { readonly kind: "wait"; readonly waiting: Waiting; readonly delayMs: number }
  | { readonly kind: "fail"; readonly error: ErrorRecord };

export function afterFailure(
  obstacle: Obstacle,
  facts: {
    readonly waited: Waiting | undefined;
    readonly retryUntil: Timestamp;
    readonly least: ConsistencyLevel;
    /** How often the VM was stopped for it. */
    readonly stops?: number | undefined;
    readonly now: number;
    /** 0 to 1, chance. */
    readonly fraction: number;
  },
): AfterFailure {
  if (obstacle.kind === "error" && (facts.stops ?? 0) >= mostStops) {
    const { message, ...record } = errorRecord(obstacle.error);
    const text = `${message} The VM was stopped ${facts.stops} times for this run: it is not stopped once more.`;
    return { kind: "fail", error: { ...record, message: text } };
  }
  if (obstacle.kind === "error" && isFinal(obstacle.error)) return { kind: "fail", error: errorRecord(obstacle.error) };
  const condition = obstacle.kind === "condition" ? obstacle.condition : errorRecord(obstacle.error).code;
  const tries = facts.waited?.condition === condition ? facts.waited.tries : 0;
  const asked =
    obstacle.kind === "error" && obstacle.error instanceof FarsideError ? (obstacle.error.retryAfterMs ?? 0) : 0;
  const delayMs = Math.max(retryDelayMs(tries, facts.fraction), asked);
  if (facts.now + delayMs > epochMs(facts.retryUntil)) {
    const lastTry = { condition, tries: guestTries };
    if (givesUpGuest(lastTry, facts.least)) return { kind: "wait", waiting: lastTry, delayMs: 0 };
    return { kind: "fail", error: windowEnded(obstacle, facts.retryUntil) };
  }
  return { kind: "wait", waiting: { condition, tries: tries + 1 }, delayMs };
}

/** Whether the guest has had its tries and the attempt goes on without it. */
export function givesUpGuest(waited: Waiting | undefined, least: ConsistencyLevel): boolean {
  return satisfies("crash", least) && waited?.condition === "guest-failed" && waited.tries >= guestTries;
}

function isFinal(error: unknown): boolean {
  return error instanceof FarsideError && error.advice !== "retry";
}

function windowEnded(obstacle: Obstacle, retryUntil: Timestamp): ErrorRecord {
  if (obstacle.kind === "error") {
    const { code, message, details } = errorRecord(obstacle.error);
    const text = `${message} It was tried until the retry window ended at ${retryUntil}.`;
    // Here only where the policy does not accept `crash`: else the guest would have been given up.
    return {
      code: code === "guest-failed" ? "consistency-not-met" : code,
      message: text,
      ...(details === undefined ? {} : { details }),
    };
  }
  const { condition } = obstacle;
  return {
    code: "not-ready",
    message: `The VM was not safe to back up until the retry window ended at ${retryUntil}: ${conditionTexts[condition]} (${condition}).`,
    details: { condition },
  };
}
