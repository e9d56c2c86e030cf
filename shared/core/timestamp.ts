/**
 * Instants as they stand in rows, messages, manifests and answers: RFC 3339, UTC, always three decimals and "Z", so that
 * comparing the texts compares the instants.
 */
import { FarsideError } from "./errors.ts";
import { quote } from "./ids.ts";

declare const brand: unique symbol;
export type Timestamp = string & { readonly [brand]: "Timestamp" };

const pattern = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

/** From milliseconds since 1970-01-01 UTC. */
export function timestamp(epochMs: number): Timestamp {
  return new Date(epochMs).toISOString() as Timestamp;
}

export function parseTimestamp(text: string): Timestamp {
  if (pattern.test(text) && !Number.isNaN(Date.parse(text))) return text as Timestamp;
  throw new FarsideError("bad-input", `${quote(text)} is not a time like 2026-11-21T08:30:00.000Z.`);
}

/** Milliseconds since 1970-01-01 UTC. */
export function epochMs(at: Timestamp): number {
  return Date.parse(at);
}

export function addMs(at: Timestamp, ms: number): Timestamp {
  return timestamp(epochMs(at) + ms);
}

/** How many milliseconds `later` is after `earlier`; negative where it is before. */
export function msBetween(earlier: Timestamp, later: Timestamp): number {
  return epochMs(later) - epochMs(earlier);
}
