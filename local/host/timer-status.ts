/**
 * What is remembered of a timer's schedule between runs and restarts, and what follows from it at a start.
 *
 * 1. A timer that was never seen is not past due: its status is written and it waits.
 * 2. Occurrences missed while nothing ran are caught up by one run, however many they were.
 * 3. A schedule that was changed meanwhile is not past due.
 * 4. `next` always follows from `last` (or, before the first run, from `lastUpdated`) by the schedule: a stored `next`
 *    that does not is how a changed schedule is seen.
 */
import type { Ncrontab } from "./ncrontab.ts";

/** Milliseconds since 1970, UTC. */
export interface TimerStatus {
  /** undefined before the first run. */
  readonly last: number | undefined;
  readonly next: number;
  readonly lastUpdated: number;
}

export interface StartPlan {
  readonly status: TimerStatus;
  /** To be stored now. */
  readonly changed: boolean;
  readonly isPastDue: boolean;
}

export function planStart(stored: TimerStatus | undefined, schedule: Ncrontab, nowMs: number): StartPlan {
  if (stored === undefined) {
    const status = { last: undefined, next: schedule.next(nowMs), lastUpdated: nowMs };
    return { status, changed: true, isPastDue: false };
  }
  const from = stored.last ?? stored.lastUpdated;
  const expected = schedule.next(from);
  if (stored.next === expected) return { status: stored, changed: false, isPastDue: nowMs > stored.next };
  const missed = nowMs > expected;
  const status = missed
    ? { last: undefined, next: schedule.next(nowMs), lastUpdated: nowMs }
    : { last: undefined, next: expected, lastUpdated: from };
  return { status, changed: true, isPastDue: false };
}

/** The status after a run, whether it succeeded or failed. */
export function afterRun(status: TimerStatus, schedule: Ncrontab, invokedMs: number, isCatchUp: boolean): TimerStatus {
  // Fired a little early: counted as on time, else the same occurrence would come once more.
  const last = !isCatchUp && status.next > invokedMs ? status.next : invokedMs;
  return { last, next: schedule.next(last), lastUpdated: last };
}

const noDate = "0001-01-01T00:00:00+00:00";

/** As .NET writes it, in the status blob and for the function. */
export interface StatusJson {
  readonly Last: string;
  readonly Next: string;
  readonly LastUpdated: string;
}

export function statusToJson({ last, next, lastUpdated }: TimerStatus): StatusJson {
  const text = (ms: number): string => new Date(ms).toISOString().replace("Z", "+00:00");
  return { Last: last === undefined ? noDate : text(last), Next: text(next), LastUpdated: text(lastUpdated) };
}

/** undefined for anything that is not a status: the timer is then taken for a new one. */
export function statusFromJson(value: unknown): TimerStatus | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { Last, Next, LastUpdated } = value as Partial<Record<keyof StatusJson, unknown>>;
  const next = instant(Next);
  const last = instant(Last);
  const lastUpdated = instant(LastUpdated) ?? last;
  return next === undefined || lastUpdated === undefined ? undefined : { last, next, lastUpdated };
}

function instant(value: unknown): number | undefined {
  const ms = typeof value === "string" ? Date.parse(value) : Number.NaN;
  // Before 1970: .NET's "no date", in whatever time zone it was written.
  return Number.isNaN(ms) || ms < 0 ? undefined : ms;
}
