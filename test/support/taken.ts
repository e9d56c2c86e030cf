import type { DiskSnapshot } from "../../shared/core/run.ts";
import type { SnapshotOutcome } from "../../shared/ports/disk-source.ts";

/** The snapshots of a source that does not let one wait. */
export function taken(outcome: SnapshotOutcome): readonly DiskSnapshot[] {
  if (outcome.kind === "taken") return outcome.snapshots;
  throw new Error("The source waits for its platform.");
}
