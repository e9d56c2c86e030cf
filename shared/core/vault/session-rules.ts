/**
 * The rules of sessions (docs/vault-format.md, W3 to W5), decided by the storage service's times alone.
 *
 * "Now" in W3 is `sessionStartedAt`, for every chunk of the session. That is safe, and needs no clock: what a session uses counts
 * only if its manifest is written by sessionStartedAt + M (W5). A collection that does not see that manifest began before, so g0 ≤
 * sessionStartedAt + M, and deletes nothing younger than g0 − D = g0 − R − M − margin ≤ sessionStartedAt − R − margin. A chunk of
 * Last-Modified ≥ sessionStartedAt − R is out of its reach, however long the session has run when it meets the chunk.
 */
import type { Timestamp } from "../timestamp.ts";
import { msBetween } from "../timestamp.ts";
import { longestSessionMs, reuseWindowMs } from "./limits.ts";

/** W3: whether a chunk found present may be reused as it is; else it must be refreshed. */
export function mayReuse(lastModified: Timestamp, sessionStartedAt: Timestamp): boolean {
  return msBetween(lastModified, sessionStartedAt) <= reuseWindowMs;
}

/** W4 and W5: whether `at` is more than M after the session began. */
export function isTooLate(sessionStartedAt: Timestamp, at: Timestamp): boolean {
  return msBetween(sessionStartedAt, at) > longestSessionMs;
}

/** W4: whether a parent tombstoned then is out of reach for a commit now. */
export function isParentGone(tombstonedAt: Timestamp, now: Timestamp): boolean {
  return msBetween(tombstonedAt, now) > longestSessionMs;
}
