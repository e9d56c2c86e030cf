/**
 * Which of our snapshots of a VM may go.
 *
 * 1. The snapshots of the newest good restore point stay: the next backup is compared with them.
 * 2. The snapshots of a run that has not ended stay, but for those of its earlier attempts.
 * 3. Those of a restore point that stands stay for as many days as the policy says, for quick restores; of very many the newest.
 * 4. A run that the catalog does not know may be younger than what we read of it, or belong to a catalog that was lost: its
 *    snapshots go only when no session can be that old any more.
 */
import type { AttemptId, PointId, RunId } from "./ids.ts";
import { epochMs, type Timestamp } from "./timestamp.ts";
import { ulidEpochMs } from "./ulid.ts";
import { longestSessionMs, marginMs } from "./vault/limits.ts";
import type { VmSource } from "./vm.ts";

/** What a run that succeeded made. */
export interface SnapshotPoint {
  readonly attemptId: AttemptId;
  readonly pointId: PointId;
  readonly snapshotAt: Timestamp;
}

export type SnapshotOwner =
  | { readonly kind: "ended"; readonly point?: SnapshotPoint }
  /** `attemptId`: the attempt that the run is at; undefined before its first. */
  | { readonly kind: "active"; readonly attemptId: AttemptId | undefined }
  | { readonly kind: "unknown" };

export interface SnapshotFacts {
  /** The attempt behind the VM's newest good restore point. */
  readonly base: AttemptId | undefined;
  /** Those whose snapshots stay for quick restores; see `instantAttempts`. */
  readonly instant: ReadonlySet<AttemptId>;
  readonly ownerOf: (runId: RunId) => SnapshotOwner;
  /** Milliseconds since 1970-01-01 UTC. */
  readonly now: number;
}

export function mayRemoveSnapshot(
  snapshot: { readonly runId: RunId; readonly attemptId: AttemptId },
  facts: SnapshotFacts,
): boolean {
  if (snapshot.attemptId === facts.base || facts.instant.has(snapshot.attemptId)) return false;
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

/**
 * How many sets of snapshots stay at most. Azure holds 500 restore points of a VM, 500 incremental snapshots of a disk and 100 snapshots
 * of a premium page blob: a backup must always find room, also beside those on demand and those of attempts that failed.
 */
export const mostInstantSets: Readonly<Record<VmSource["kind"], number>> = { managed: 450, "page-blob": 80 };

const dayMs = 86_400_000;

/** The attempts whose snapshots stay for quick restores: of the last `days`, and of those the newest `most`. */
export function instantAttempts(
  points: readonly SnapshotPoint[],
  { days, most, now }: { readonly days: number; readonly most: number; readonly now: number },
): ReadonlySet<AttemptId> {
  const since = now - days * dayMs;
  const young = days === 0 ? [] : points.filter(({ snapshotAt }) => epochMs(snapshotAt) > since);
  const newestFirst = young.toSorted((a, b) => epochMs(b.snapshotAt) - epochMs(a.snapshotAt));
  return new Set(newestFirst.slice(0, most).map(({ attemptId }) => attemptId));
}

function attemptNumber(attemptId: AttemptId): number {
  return Number(attemptId.slice(attemptId.lastIndexOf("-") + 1));
}
