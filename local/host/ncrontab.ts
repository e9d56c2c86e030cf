/**
 * NCRONTAB schedules, in UTC: `{second} {minute} {hour} {day} {month} {day of week}`, or five fields without seconds.
 *
 * How it differs from the cron that most people know, and from cron libraries:
 * 1. Day and day of week must both match (cron: either one).
 * 2. A range that runs backwards is turned round: `FRI-MON` means Monday to Friday.
 * 3. `n/step` runs from n to the end of the field; Sunday is 0 only; there is no `L`, `W`, `#`, `?`, `@daily`.
 */
import { FarsideError } from "../../shared/core/errors.ts";

export interface Ncrontab {
  readonly text: string;
  /** The first occurrence strictly after the instant (milliseconds since 1970). */
  next(afterMs: number): number;
}

interface Field {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  readonly names?: readonly string[];
}

const months = "January February March April May June July August September October November December".split(" ");
const weekdays = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split(" ");
const fields: readonly Field[] = [
  { name: "second", min: 0, max: 59 },
  { name: "minute", min: 0, max: 59 },
  { name: "hour", min: 0, max: 23 },
  { name: "day", min: 1, max: 31 },
  { name: "month", min: 1, max: 12, names: months },
  { name: "day of week", min: 0, max: 6, names: weekdays },
];

const dayMs = 86_400_000;
/** Weekdays and leap years repeat after 400 years at most; nothing that ever matches waits longer than 40. */
const searchDays = 41 * 366;

/** @throws FarsideError `bad-configuration` for anything else, also for a schedule that never occurs. */
export function parseNcrontab(text: string, where: string): Ncrontab {
  const parts = text.trim().split(/\s+/);
  const all = parts.length === 5 ? ["0", ...parts] : parts;
  const fail = (problem: string): never => {
    throw new FarsideError(
      "bad-configuration",
      `${where} has the schedule ${JSON.stringify(text)}: ${problem}. Write "{second} {minute} {hour} {day} {month} {day of week}", such as "0 */5 * * * *".`,
    );
  };
  if (all.length !== 6) return fail(`it has ${parts.length} fields and not 6 or 5`);
  const sets = fields.map((field, index) => parseField(field, all[index] ?? "", fail));
  const next = (afterMs: number): number => search(sets, afterMs) ?? fail("it never occurs");
  next(0);
  return { text, next };
}

function parseField(field: Field, text: string, fail: (problem: string) => never): ReadonlySet<number> {
  const wrong = (): never => fail(`${JSON.stringify(text)} is no ${field.name}`);
  const value = (part: string): number => {
    if (/^\d{1,3}$/.test(part)) {
      const number = Number(part);
      return number >= field.min && number <= field.max
        ? number
        : fail(`the ${field.name} ${number} is not between ${field.min} and ${field.max}`);
    }
    const index = field.names?.findIndex((name) => part !== "" && name.toLowerCase().startsWith(part.toLowerCase()));
    return index === undefined || index < 0 ? wrong() : index + field.min;
  };
  const set = new Set<number>();
  for (const item of text.split(",")) {
    const [range = "", stepText, ...more] = item.split("/");
    const step = stepText === undefined ? 1 : /^\d{1,3}$/.test(stepText) ? Number(stepText) : wrong();
    if (more.length > 0 || step < 1) wrong();
    const [first = "", last, ...extra] = range.split("-");
    if (extra.length > 0) wrong();
    let from = range === "*" ? field.min : value(first);
    let to = range === "*" ? field.max : last === undefined ? (step === 1 ? from : field.max) : value(last);
    if (from > to) [from, to] = [to, from];
    for (let number = from; number <= to; number += step) set.add(number);
  }
  return set;
}

function search(sets: readonly ReadonlySet<number>[], afterMs: number): number | undefined {
  const [seconds, minutes, hours, days, monthSet, dows] = sets;
  const from = Math.floor(afterMs / 1000) * 1000 + 1000;
  const firstDay = Math.floor(from / dayMs) * dayMs;
  for (let index = 0; index < searchDays; index += 1) {
    const dayStart = firstDay + index * dayMs;
    const date = new Date(dayStart);
    const matches =
      monthSet?.has(date.getUTCMonth() + 1) === true &&
      days?.has(date.getUTCDate()) === true &&
      dows?.has(date.getUTCDay()) === true;
    if (!matches) continue;
    const time = firstTime(hours, minutes, seconds, index === 0 ? (from - dayStart) / 1000 : 0);
    if (time !== undefined) return dayStart + time * 1000;
  }
  return undefined;
}

/** The first second of a day that matches, not before `from`. */
function firstTime(
  hours: ReadonlySet<number> | undefined,
  minutes: ReadonlySet<number> | undefined,
  seconds: ReadonlySet<number> | undefined,
  from: number,
): number | undefined {
  for (let hour = Math.floor(from / 3600); hour < 24; hour += 1) {
    if (hours?.has(hour) !== true) continue;
    for (let minute = 0; minute < 60; minute += 1) {
      const start = hour * 3600 + minute * 60;
      if (minutes?.has(minute) !== true || start + 60 <= from) continue;
      for (let second = Math.max(0, from - start); second < 60; second += 1) {
        if (seconds?.has(second) === true) return start + second;
      }
    }
  }
  return undefined;
}
