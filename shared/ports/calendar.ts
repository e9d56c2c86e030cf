/** Reads cron texts in a time zone. Pure computation behind a port because a package does it. */
import type { Schedule } from "../core/policy.ts";
import type { Timestamp } from "../core/timestamp.ts";

export interface Calendar {
  /** Throws `bad-input` for a text that is no cron, one that never fires, or a time zone that does not exist. */
  check(schedule: Schedule): void;
  /** The last instant of the schedule in (after, upTo], or undefined where there is none. */
  lastBetween(schedule: Schedule, after: Timestamp, upTo: Timestamp): Timestamp | undefined;
  next(schedule: Schedule, after: Timestamp): Timestamp | undefined;
}
