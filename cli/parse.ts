/** Reads what people type as the value of an option. What cannot be read is wrong usage: exit code 2. */
import { InvalidArgumentError } from "commander";

export function wholeNumber(text: string): number {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be a whole number.");
}

const spanSeconds: Readonly<Record<string, number>> = { w: 604_800, d: 86_400, h: 3600, m: 60, s: 1 };

/** "26h", "1d12h", "90m", "45s"; a bare number counts as seconds. */
export function durationSeconds(text: string): number {
  if (/^\d{1,10}$/.test(text)) return Number(text);
  if (!/^(?:\d{1,10}[wdhms])+$/i.test(text)) {
    throw new InvalidArgumentError('Write a duration like "26h", "1d12h" or "90m".');
  }
  let seconds = 0;
  for (const [, count, unit] of text.toLowerCase().matchAll(/(\d+)([wdhms])/g)) {
    seconds += Number(count) * (spanSeconds[unit ?? ""] ?? 0);
  }
  return seconds;
}

const sizeUnits: Readonly<Record<string, number>> = { "": 1, k: 1024, m: 1024 ** 2, g: 1024 ** 3, t: 1024 ** 4 };

/** "1048576", "512K", "1MiB". */
export function byteSize(text: string): number {
  const match = /^(\d{1,15})\s*([kmgt]?)(?:i?b)?$/i.exec(text);
  if (match === null) throw new InvalidArgumentError('Write a size like "1048576", "512K" or "1MiB".');
  return Number(match[1]) * (sizeUnits[(match[2] ?? "").toLowerCase()] ?? 1);
}

/** An instant as RFC 3339, or without a zone in local time: "2026-11-21 08:30". Gives RFC 3339 in UTC. */
export function instant(text: string): string {
  const shape = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$/i;
  const written = shape.test(text) ? text.replace(" ", "T") : "";
  // A date alone would be read as UTC; with a time it is local, as a person means it.
  const ms = Date.parse(/T/i.test(written) ? written : `${written}T00:00:00`);
  if (Number.isNaN(ms)) throw new InvalidArgumentError('Write a time like "2026-11-21 08:30" or 2026-11-21T08:30:00Z.');
  return new Date(ms).toISOString();
}

export function percent(text: string): number {
  const value = Number(text.replace(/\s*%$/, ""));
  if (text.trim() !== "" && value > 0 && value <= 100) return value;
  throw new InvalidArgumentError("It must be above 0 and at most 100.");
}

export function port(text: string): number {
  const value = wholeNumber(text);
  if (value <= 65_535) return value;
  throw new InvalidArgumentError("A port is at most 65535.");
}

/** "NAME=URL". */
export function namedUrl(text: string, before: readonly NamedUrl[] | undefined): readonly NamedUrl[] {
  const equals = text.indexOf("=");
  if (equals < 1 || equals === text.length - 1) throw new InvalidArgumentError("Write NAME=URL.");
  return [...(before ?? []), { name: text.slice(0, equals), url: text.slice(equals + 1) }];
}

export interface NamedUrl {
  readonly name: string;
  readonly url: string;
}
