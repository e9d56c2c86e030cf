import { Cron } from "croner";
import { FarsideError } from "../../core/errors.ts";
import type { Schedule } from "../../core/policy.ts";
import { epochMs, timestamp, type Timestamp } from "../../core/timestamp.ts";
import type { Calendar } from "../../ports/calendar.ts";

export class CronCalendar implements Calendar {
  check(schedule: Schedule): void {
    try {
      new Intl.DateTimeFormat("en", { timeZone: schedule.timeZone });
    } catch (cause) {
      throw new FarsideError(
        "bad-input",
        `There is no time zone ${JSON.stringify(schedule.timeZone)}: give an IANA name such as Europe/Berlin.`,
        { cause },
      );
    }
    let next: Date | null;
    try {
      next = cron(schedule).nextRun(new Date(0));
    } catch (cause) {
      throw new FarsideError("bad-input", `${JSON.stringify(schedule.cron)} is no schedule.`, { cause });
    }
    if (next === null)
      throw new FarsideError("bad-input", `The schedule ${JSON.stringify(schedule.cron)} never fires.`);
  }

  lastBetween(schedule: Schedule, after: Timestamp, upTo: Timestamp): Timestamp | undefined {
    let found: Timestamp | undefined;
    for (let at = this.next(schedule, after); at !== undefined && at <= upTo; at = this.next(schedule, at)) found = at;
    return found;
  }

  next(schedule: Schedule, after: Timestamp): Timestamp | undefined {
    const at = cron(schedule).nextRun(new Date(epochMs(after)));
    return at === null ? undefined : timestamp(at.getTime());
  }
}

const cron = (schedule: Schedule): Cron => new Cron(schedule.cron, { timezone: schedule.timeZone, paused: true });
