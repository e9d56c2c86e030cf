/**
 * Which of our snapshots of a VM may go.
 *
 * 1. The snapshots of the newest good restore point stay: the next backup is compared with them.
 * 2. The snapshots of a run that has not ended stay, but for those of its earlier attempts.
 * 3. A run that the catalog does not know may be younger than what we read of it, or belong to a catalog that was lost: its
 *    snapshots go only when no session can be that old any more.
 */
import type { AttemptId, RunId } from "./ids.ts";
import { ulidEpochMs } from "./ulid.ts";
import { longestSessionMs, marginMs } from "./vault/limits.ts";

export type SnapshotOwner =
  | { readonly kind: "ended" }
  /** `attemptId`: the attempt that the run is at; undefined before its first. */
  | { readonly kind: "active"; readonly attemptId: AttemptId | undefined }
  | { readonly kind: "unknown" };

export interface SnapshotFacts {
  /** The attempt behind the VM's newest good restore point. */
  readonly base: AttemptId | undefined;
  readonly ownerOf: (runId: RunId) => SnapshotOwner;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly now: number;
}

export function mayRemoveSnapshot(
  snapshot: { readonly runId: RunId; readonly attemptId: AttemptId },
  facts: SnapshotFacts,
): boolean {
  if (snapshot.attemptId === facts.base) return false;
  const owner = facts.ownerOf(snapshot.runId);
  switch (owner.kind) {
    case "ended":
      return true;
    case "active":
      return owner.attemptId !== undefined && attemptNumber(snapshot.attemptId) < attemptNumber(owner.attemptId);
    case "unknown":
      return facts.now - ulidEpochMs(snapshot.runId) > longestSessionMs + marginMs;
    default:
      return owner satisfies never;
  }
}

function attemptNumber(attemptId: AttemptId): number {
  return Number(attemptId.slice(attemptId.lastIndexOf("-") + 1));
}
