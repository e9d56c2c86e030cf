/** What a blob snapshot says of itself: when it was taken, of which disk, and for which attempt. */
import { FarsideError, hasCode } from "../../core/errors.ts";
import { parseAttemptId, parseDiskName, parseRunId } from "../../core/ids.ts";
import { parseTimestamp, type Timestamp } from "../../core/timestamp.ts";
import type { OwnSnapshot } from "../../ports/disk-source.ts";
import type { PageBlobFacts } from "./page-blob-facts.ts";
import type { BlobPlace } from "./storage-accounts.ts";

/** The instant of a snapshot is its id: 2026-11-21T08:30:00.1234567Z. */
export function snapshotTime(snapshot: string, what: string): Timestamp {
  try {
    return parseTimestamp(snapshot.replace(/(\.\d{3})\d*Z$/, "$1Z"));
  } catch (cause) {
    throw new FarsideError(
      "source-corrupt",
      `${what} got a snapshot whose id is no time: ${JSON.stringify(snapshot)}.`,
      { cause },
    );
  }
}

export function identityOf(place: BlobPlace, facts: PageBlobFacts): string {
  return `${place.account}/${place.container}/${place.blob}@${facts.createdAt}`;
}

/** The ids in a snapshot's metadata; undefined where it is not one of ours. */
export function ownIds(
  metadata: Readonly<Record<string, string>> | undefined,
): Omit<OwnSnapshot, "reference"> | undefined {
  const { farsiderun, farsideattempt, farsidedisk } = metadata ?? {};
  if (farsiderun === undefined || farsideattempt === undefined || farsidedisk === undefined) return undefined;
  try {
    return {
      runId: parseRunId(farsiderun),
      attemptId: parseAttemptId(farsideattempt),
      disk: parseDiskName(farsidedisk),
    };
  } catch (error) {
    if (hasCode(error, "bad-input")) return undefined;
    throw error;
  }
}
