/** The snapshots of an attempt made into its set, and the set into the run's row. */
import type { FreezeFacts } from "../../core/achieved-consistency.ts";
import { achievedConsistency } from "../../core/achieved-consistency.ts";
import { satisfies } from "../../core/consistency.ts";
import { counted } from "../../core/counted.ts";
import { FarsideError } from "../../core/errors.ts";
import type { PointId } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import { pointIdOf } from "../../core/point-id.ts";
import type { Policy } from "../../core/policy.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { beginCopying } from "../../core/run-transitions.ts";
import type { DiskSnapshot, Freeze, PendingSnapshots, SnapshotSet } from "../../core/run.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { msBetween } from "../../core/timestamp.ts";
import { usnRollbackSafety, type UsnFacts } from "../../core/usn-rollback.ts";
import type { ManifestSafety } from "../../core/vault/manifest.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { changeRun } from "../run/change-run.ts";
import { recordEvent } from "../run/record-event.ts";
import { isSnapshotting } from "./freeze.ts";
import type { Taken } from "./take-snapshots.ts";
import { isCopying } from "./windows.ts";

export interface Settings {
  readonly vm: ProtectedVm;
  readonly policy: Policy;
}

/** What the attempt found before it asked for snapshots. */
export type Found = Pick<PendingSnapshots, "powerState" | "configuration" | "sessionStartedAt" | "parentPointId">;

export function foundBefore(
  powerState: PendingSnapshots["powerState"],
  configuration: PendingSnapshots["configuration"],
  sessionStartedAt: Timestamp,
  parentPointId: PointId | undefined,
): Found {
  return { powerState, configuration, sessionStartedAt, ...(parentPointId === undefined ? {} : { parentPointId }) };
}

export interface TakenSnapshots {
  readonly snapshots: readonly DiskSnapshot[];
  readonly facts: FreezeFacts;
  /** Of the source: what a reader of the restore point should know besides. */
  readonly note?: string;
  readonly frozenAt?: Timestamp;
  readonly thawedAt?: Timestamp;
  readonly notThawed?: Freeze;
}

/** Throws `consistency-not-met` where it is less than the policy accepts, and `refused` where the policy does not want such a backup. */
export async function recordSet(
  context: Context,
  run: BackupIn<"snapshotting">,
  settings: Settings,
  found: Found,
  taken: TakenSnapshots,
  signal: AbortSignal,
): Promise<Taken> {
  const { vm } = settings;
  const { level, note } = checkLeast(run, taken.facts);
  const safety = await judgeSafety(context, run, settings, { powerState: found.powerState, achieved: level }, signal);
  const times = taken.snapshots.map((snapshot) => snapshot.snapshotAt).sort();
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined)
    throw new FarsideError("snapshot-failed", "The source made no snapshot.");
  const notes = [note, taken.note === note ? undefined : taken.note].filter((text) => text !== undefined);
  const set: SnapshotSet = {
    attemptId: run.attemptId,
    pointId: pointIdOf(run.attemptId, first),
    source: vm.source.kind,
    configuration: found.configuration,
    sessionStartedAt: found.sessionStartedAt,
    snapshotAt: first,
    consistency: {
      requested: run.wanted,
      achieved: level,
      ...(taken.frozenAt === undefined ? {} : { frozenAt: taken.frozenAt }),
      ...(taken.thawedAt === undefined ? {} : { thawedAt: taken.thawedAt }),
      skewMs: msBetween(first, last),
      ...(notes.length === 0 ? {} : { note: notes.join(" ") }),
    },
    safety,
    snapshots: taken.snapshots,
    ...(found.parentPointId === undefined ? {} : { parentPointId: found.parentPointId }),
  };
  return writeSet(context, run, set, taken.notThawed, signal);
}

export function checkLeast(run: BackupIn<"snapshotting">, facts: FreezeFacts): ReturnType<typeof achievedConsistency> {
  const achieved = achievedConsistency(facts);
  if (satisfies(achieved.level, run.least)) return achieved;
  throw new FarsideError(
    "consistency-not-met",
    `The backup would be ${achieved.level}-consistent, and the policy ${quote(run.policy)} accepts nothing below ${run.least}. ${achieved.note ?? ""}`.trim(),
    { details: { achieved: achieved.level, least: run.least } },
  );
}

/** Throws `refused` where the policy does not want a backup that risks USN rollback. */
export async function judgeSafety(
  context: Context,
  run: BackupIn<"snapshotting">,
  { vm, policy }: Settings,
  facts: Pick<UsnFacts, "powerState" | "achieved">,
  signal: AbortSignal,
): Promise<ManifestSafety> {
  const safety = usnRollbackSafety({ ...vm, ...facts });
  if (safety.usnRollbackRisk) await warnOfUsnRollback(context, run, policy, safety.note ?? "", signal);
  return safety;
}

async function warnOfUsnRollback(
  context: Context,
  run: BackupIn<"snapshotting">,
  policy: Policy,
  note: string,
  signal: AbortSignal,
): Promise<void> {
  if (policy.usnRollback === "fail") {
    throw new FarsideError("refused", `${note} The policy ${quote(policy.name)} does not accept such a backup.`, {
      details: { vm: run.vm, policy: policy.name },
    });
  }
  const facts = { runId: run.runId, name: runEvents.usnRollbackRisk, message: note, level: "warning" } as const;
  await recordEvent(context, facts, signal);
}

async function writeSet(
  context: Context,
  run: BackupIn<"snapshotting">,
  set: SnapshotSet,
  notThawed: Freeze | undefined,
  signal: AbortSignal,
): Promise<Taken> {
  const changed = await changeRun(
    context,
    run.runId,
    (now) => (isSnapshotting(now, run.attemptId) ? beginCopying(now, set, notThawed) : undefined),
    signal,
  );
  if (changed.kind === "refused") {
    // A write that had worked and whose answer was lost is met again as a refusal.
    return changed.run !== undefined && isCopying(changed.run, run.attemptId)
      ? { kind: "taken", run: changed.run }
      : { kind: "lost" };
  }
  const { achieved, skewMs } = set.consistency;
  const disks = set.snapshots.length;
  const message = `${counted(disks, "snapshot")}, ${achieved}-consistent, ${skewMs} ms apart.`;
  const fields = { disks, achieved, skewMs, point: set.pointId };
  await recordEvent(context, { runId: run.runId, name: runEvents.snapshotsTaken, message, fields }, signal);
  return { kind: "taken", run: changed.stored.value };
}
