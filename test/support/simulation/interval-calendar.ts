import type { Schedule } from "../../../shared/core/policy.ts";
import type { Timestamp } from "../../../shared/core/timestamp.ts";
import { epochMs, timestamp } from "../../../shared/core/timestamp.ts";
import type { Calendar } from "../../../shared/ports/calendar.ts";

/** Schedules of the form "every N minutes", counted from 1970: enough to drive the pipeline without a cron reader. */
export class IntervalCalendar implements Calendar {
  check(schedule: Schedule): void {
    intervalMs(schedule);
  }

  lastBetween(schedule: Schedule, after: Timestamp, upTo: Timestamp): Timestamp | undefined {
    const last = Math.floor(epochMs(upTo) / intervalMs(schedule)) * intervalMs(schedule);
    return last > epochMs(after) ? timestamp(last) : undefined;
  }

  next(schedule: Schedule, after: Timestamp): Timestamp | undefined {
    return timestamp((Math.floor(epochMs(after) / intervalMs(schedule)) + 1) * intervalMs(schedule));
  }
}

function intervalMs({ cron }: Schedule): number {
  const minutes = Number(/^every (\d+) minutes$/.exec(cron)?.[1]);
  if (!(minutes > 0)) throw new Error(`The simulation reads only "every N minutes", not ${cron}.`);
  return minutes * 60_000;
}
