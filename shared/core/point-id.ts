import { createHash } from "node:crypto";
import type { AttemptId, PointId } from "./ids.ts";
import { parsePointId } from "./ids.ts";
import type { Timestamp } from "./timestamp.ts";
import { epochMs } from "./timestamp.ts";
import { ulid } from "./ulid.ts";

/** The restore point of an attempt: sorts by the instant of its snapshots, and is the same whenever it is derived. */
export function pointIdOf(attemptId: AttemptId, snapshotAt: Timestamp): PointId {
  const tail = createHash("sha256").update(attemptId).digest().subarray(0, 10);
  return parsePointId(ulid(epochMs(snapshotAt), tail));
}
