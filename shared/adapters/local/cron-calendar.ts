/**
 * Cron texts by croner, which knows both changes of the clock: a time that the clock skips comes when the clock has jumped, a
 * time that comes twice counts the first time, and a rule for every hour or minute goes on through both.
 */
import { Cron } from "croner";
import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { Schedule } from "../../core/policy.ts";
import { epochMs, timestamp, type Timestamp } from "../../core/timestamp.ts";
import type { Calendar } from "../../ports/calendar.ts";

const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;
/** How far back to look for the last instant, from near to far, so that no look goes over many of them. */
const looksBackMs = [minuteMs, 60 * minuteMs, dayMs, 40 * dayMs, 400 * dayMs, 9 * 366 * dayMs];

export const cronCalendar: Calendar = {
  check: (schedule) => {
    const cron = open(schedule);
    // A fixed instant: whether a text is valid does not change with the day it is asked on.
    if (cron.nextRun(new Date(Date.UTC(2024, 0, 1))) !== null) return;
    throw new FarsideError(
      "bad-input",
      `The schedule ${quote(schedule.cron)} never fires: there is no such day. Correct day and month.`,
    );
  },
  next: (schedule, after) => nextAfter(open(schedule), epochMs(after)),
  lastBetween: (schedule, after, upTo) => {
    const cron = open(schedule);
    const [from, to] = [epochMs(after), epochMs(upTo)];
    for (const look of looksBackMs) {
      let last: Timestamp | undefined;
      let at = Math.max(from, to - look);
      const reachesBack = at === from;
      // Found by going forward only, so that it is always one of the instants that `next` gives.
      for (let next = nextAfter(cron, at); next !== undefined && epochMs(next) <= to; next = nextAfter(cron, at)) {
        last = next;
        at = epochMs(next);
      }
      if (last !== undefined || reachesBack) return last;
    }
    return undefined;
  },
};

function open({ cron, timeZone }: Schedule): Cron {
  const text = cron.trim();
  const fields = text.split(/\s+/).length;
  if (fields !== 5 && fields !== 6) {
    throw new FarsideError(
      "bad-input",
      `The schedule ${quote(cron)} has ${text === "" ? 0 : fields} fields: give five (minute hour day month weekday), or six with seconds before them.`,
    );
  }
  try {
    Intl.DateTimeFormat("en", { timeZone });
  } catch (cause) {
    throw new FarsideError(
      "bad-input",
      `There is no time zone ${quote(timeZone)}: use an IANA name like Europe/Berlin or UTC.`,
      { cause },
    );
  }
  try {
    return new Cron(text, { timezone: timeZone, paused: true });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message.replace(/^CronPattern: /, "") : "";
    throw new FarsideError("bad-input", `The schedule ${quote(cron)} is not valid: ${why}`, { cause });
  }
}

function nextAfter(cron: Cron, afterMs: number): Timestamp | undefined {
  const next = cron.nextRun(new Date(afterMs));
  return next === null ? undefined : timestamp(next.getTime());
}
