/** A VM that is stopped for its snapshots: how long it may be, and what is told of it. */
import type { BackupRun, Downtime, Halt, SnapshotSet } from "./run.ts";
import { clockToleranceMs } from "./schedule-slots.ts";
import type { Timestamp } from "./timestamp.ts";
import { epochMs, msBetween } from "./timestamp.ts";
import type { ManifestConsistency } from "./vault/manifest.ts";

/**
 * Stopping and snapshots together: what takes longer is given up, and the VM started. A deallocation takes minutes, most of them the
 * guest's; incremental snapshots take seconds.
 */
export const longestHaltMs = 20 * 60_000;

/** How long one process has the attempt for itself while the VM stands still: two at once do no harm, and a dead one must not cost minutes. */
export const haltLeaseMs = 2 * 60_000;

/** How much later than its lease a request to stop, of whose answer nobody heard, may still arrive: ARM is asked for 30 s at most. */
export const stopDoubtMs = 5 * 60_000;

/** How often it is looked whether a stop, a snapshot or a start has ended. */
export const haltLookMs = 15_000;

/** While a VM stands still, what lies further ahead than this was written by a clock that was ahead: nobody looks so seldom. */
export const longestHaltLookMs = 10 * 60_000;

/** A cancel may cross the run's end, and was not meant for the start of its VM then. */
export const giveUpAfterMs = 5 * 60_000;

export function isOverdue(since: Timestamp, now: number): boolean {
  const elapsedMs = now - epochMs(since);
  // An instant ahead of us was written by a clock that was: as far as anybody can tell, its time is over.
  return elapsedMs > longestHaltMs || elapsedMs < -clockToleranceMs;
}

/** While its attempt is at it, and the disks' instant is not fixed, nobody starts it. */
export function mayStart(run: BackupRun, halt: Halt): boolean {
  return run.state !== "snapshotting" || halt.token !== run.attemptId || halt.released === true;
}

/** An instant further ahead than anything is ever put off was written by a clock that was ahead: it holds nothing back. */
const longestPutOffMs = 2 * 3_600_000;

/** Whether a request to stop may still arrive. */
export function isInDoubt({ doubtUntil }: Halt, now: number): boolean {
  if (doubtUntil === undefined) return false;
  const aheadMs = epochMs(doubtUntil) - now;
  return aheadMs > 0 && aheadMs <= longestPutOffMs;
}

export function isDue({ lookAt }: Halt, now: number): boolean {
  const aheadMs = epochMs(lookAt) - now;
  return aheadMs <= 0 || aheadMs > longestPutOffMs;
}

/** A restore point's note on it: what was known when it was written. */
function downtimeNote({ stopAskedAt, startAskedAt, runningAt }: Downtime): string {
  const seconds = (until: Timestamp): string => `${Math.round(msBetween(stopAskedAt, until) / 1000)} s`;
  if (runningAt !== undefined) {
    return `It was asked to stop at ${stopAskedAt} and was seen running again at ${runningAt}: it was down for ${seconds(runningAt)} at most.`;
  }
  return startAskedAt === undefined
    ? `It was asked to stop at ${stopAskedAt}, and no start had been accepted yet.`
    : `It was asked to stop at ${stopAskedAt} and to start at ${startAskedAt}, ${seconds(startAskedAt)} later.`;
}

/** What a restore point tells of its consistency, and of what it cost. */
export function consistencyOf({ consistency, downtime }: SnapshotSet): ManifestConsistency {
  if (downtime === undefined) return consistency;
  return {
    ...consistency,
    note: [consistency.note, downtimeNote(downtime)].filter((text) => text !== undefined).join(" "),
  };
}
