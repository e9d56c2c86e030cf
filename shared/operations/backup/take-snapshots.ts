/**
 * One attempt at a snapshot set: preflight, parent, freeze, snapshots, thaw, and the row that says so.
 *
 * 1. All disks or nothing, of one attempt: the set enters the row by a conditional write, which the owner of an older attempt loses.
 * 2. The consistency written is the one that was confirmed after the last snapshot.
 * 3. What an attempt made and its row does not name, the attempt removes (`dropAttempt`); where it dies, clean-up does.
 */
import { counted } from "../../core/counted.ts";
import type { FreezeFacts } from "../../core/achieved-consistency.ts";
import { achievedConsistency, freezeDoubt } from "../../core/achieved-consistency.ts";
import type { Obstacle } from "../../core/attempt-failure.ts";
import { satisfies } from "../../core/consistency.ts";
import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import { pointIdOf } from "../../core/point-id.ts";
import type { Policy } from "../../core/policy.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { beginCopying } from "../../core/run-transitions.ts";
import type { DiskSnapshot, SnapshotSet } from "../../core/run.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { msBetween } from "../../core/timestamp.ts";
import { usnRollbackSafety } from "../../core/usn-rollback.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { DiskSource, OwnSnapshot, VmInspection } from "../../ports/disk-source.ts";
import { capturedDocument } from "../../wire/vault/captured.ts";
import type { Context } from "../context.ts";
import { halfRevertOf } from "../restore/half-reverts.ts";
import { changeRun } from "../run/change-run.ts";
import { claimVm } from "../run/claim-vm.ts";
import { recordEvent } from "../run/record-event.ts";
import { removeChosenSnapshots } from "../run/remove-snapshots.ts";
import { newestRestorePoint } from "../vault/list-restore-points.ts";
import { startSession } from "../vault/work-blobs.ts";
import { writeDocument } from "../vault/write-index.ts";
import { isSnapshotting, planFreeze, whileFrozen, type FreezePlan, type FrozenWork } from "./freeze.ts";
import { isCopying } from "./windows.ts";

export type Taken =
  | { readonly kind: "taken"; readonly run: BackupIn<"copying"> }
  | { readonly kind: "obstacle"; readonly obstacle: Obstacle }
  /** Another attempt, or the run's end, came in between. */
  | { readonly kind: "lost" };

export async function takeSnapshots(
  context: Context,
  run: BackupIn<"snapshotting">,
  signal: AbortSignal,
): Promise<Taken> {
  const { vm, policy } = await readSettings(context, run, signal);
  const source = context.source(vm.source.kind);
  if (run.attempt > 1) await removeOlderAttempts(context, run, vm, signal);
  const claim = await claimVm(context, { vmId: run.vmId, runId: run.runId, as: "backup" }, signal);
  if (claim.kind === "held")
    return { kind: "obstacle", obstacle: { kind: "condition", condition: "another-run-active" } };
  const inspection = await source.inspect(vm, signal);
  const [condition] = inspection.conditions;
  if (condition !== undefined) return { kind: "obstacle", obstacle: { kind: "condition", condition } };
  if (inspection.disks.length === 0) {
    throw new FarsideError(
      "bad-input",
      `The VM ${quote(vm.name)} has no disks to back up: protect it again with its disks.`,
    );
  }
  const plan = await planned(context, run, vm, inspection, signal);
  if (plan.kind === "none") checkLeast(run, plan);

  const vault = await context.vault(signal);
  const session = await startSession(vault, run.attemptId, signal);
  // After the session's start: what has no tombstone now had none then (rule W2).
  const parent = await newestRestorePoint(vault, run.vmId, signal);
  const captured = capturedDocument(inspection.configuration, { vm, policy });
  const configuration = (await writeDocument(vault, captured, session, signal)).id;

  const frozen = await snapshotAll(context, run, { vm, policy, source, inspection, plan }, signal);
  if (frozen === "lost") return { kind: "lost" };
  const { level, note } = checkLeast(run, frozen.facts);
  const safety = usnRollbackSafety({ ...vm, powerState: inspection.powerState, achieved: level });
  if (safety.usnRollbackRisk) await warnOfUsnRollback(context, run, policy, safety.note ?? "", signal);
  const times = frozen.result.map((snapshot) => snapshot.snapshotAt).sort();
  const [first, last] = [times[0], times.at(-1)];
  if (first === undefined || last === undefined)
    throw new FarsideError("snapshot-failed", "The source made no snapshot.");
  const skewMs = msBetween(first, last);
  const set: SnapshotSet = {
    attemptId: run.attemptId,
    pointId: pointIdOf(run.attemptId, first),
    source: vm.source.kind,
    configuration,
    sessionStartedAt: session.startedAt,
    snapshotAt: first,
    consistency: {
      requested: run.wanted,
      achieved: level,
      ...(frozen.frozenAt === undefined ? {} : { frozenAt: frozen.frozenAt }),
      ...(frozen.thawedAt === undefined ? {} : { thawedAt: frozen.thawedAt }),
      skewMs,
      ...(note === undefined ? {} : { note }),
    },
    safety,
    snapshots: frozen.result,
    ...(parent === undefined ? {} : { parentPointId: parent.pointId }),
  };
  return recordSet(context, run, set, frozen.notThawed, signal);
}

/** A guest that answers runs, on disks that somebody has put right; what lies still may be left half way by a revert. */
async function planned(
  context: Context,
  run: BackupIn<"snapshotting">,
  vm: ProtectedVm,
  { powerState }: VmInspection,
  signal: AbortSignal,
): Promise<FreezePlan> {
  const plan = planFreeze(run, vm, powerState);
  if (plan.kind === "freeze" || (await halfRevertOf(context, run.vmId, signal)) === undefined) return plan;
  return { kind: "none", reason: "half-reverted" };
}

/** Throws `not-found` where the VM or its policy is gone: then the run has nothing to go by. */
async function readSettings(
  context: Context,
  run: BackupIn<"snapshotting">,
  signal: AbortSignal,
): Promise<{ vm: ProtectedVm; policy: Policy }> {
  const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
  if (vm === undefined || vm.vmId !== run.vmId) {
    throw new FarsideError("not-found", `The VM ${quote(run.vm)} is not protected any more.`, {
      details: { vm: run.vm },
    });
  }
  const policy = (await context.catalog.policies.get(run.policy, signal))?.value;
  if (policy === undefined) {
    throw new FarsideError("not-found", `The policy ${quote(run.policy)} of VM ${quote(run.vm)} is gone.`, {
      details: { policy: run.policy },
    });
  }
  return { vm, policy };
}

async function removeOlderAttempts(
  context: Context,
  run: BackupIn<"snapshotting">,
  vm: ProtectedVm,
  signal: AbortSignal,
): Promise<void> {
  const { runId, attemptId } = run;
  const older = (one: OwnSnapshot): boolean => one.runId === runId && one.attemptId !== attemptId;
  await removeChosenSnapshots(context, vm, older, signal);
}

interface Scene {
  readonly vm: ProtectedVm;
  readonly policy: Policy;
  readonly source: DiskSource;
  readonly inspection: VmInspection;
  readonly plan: FreezePlan;
}

type Snapshots = Omit<FrozenWork<readonly DiskSnapshot[]>, "frozenAt"> & { readonly frozenAt?: Timestamp };

async function snapshotAll(
  context: Context,
  run: BackupIn<"snapshotting">,
  scene: Scene,
  signal: AbortSignal,
): Promise<Snapshots | "lost"> {
  const { vm, policy, source, inspection, plan } = scene;
  const { runId, attemptId } = run;
  const snapshot = () => source.snapshot(vm, inspection.disks, { runId, attemptId }, signal);
  if (plan.kind === "none") {
    const result = await snapshot();
    const started = plan.reason === "stopped" && (await source.inspect(vm, signal)).powerState !== "stopped";
    const left = run.freeze === undefined ? {} : { notThawed: run.freeze };
    return { result, facts: started ? { kind: "none", reason: "stopped-then-started" } : plan, ...left };
  }
  const guest = { url: plan.guestUrl, ttlSeconds: policy.freezeTtlSeconds };
  const frozen = await whileFrozen(context, run, guest, snapshot, signal);
  if (frozen === "lost") return frozen;
  const doubt = frozen.facts.kind === "frozen" ? freezeDoubt(frozen.facts) : undefined;
  // Worth another try, like a guest that did not answer; after some, the attempt goes on without it where that is allowed.
  if (doubt !== undefined) throw new FarsideError("guest-failed", doubt, { details: { vm: vm.name } });
  return frozen;
}

function checkLeast(run: BackupIn<"snapshotting">, facts: FreezeFacts): ReturnType<typeof achievedConsistency> {
  const achieved = achievedConsistency(facts);
  if (satisfies(achieved.level, run.least)) return achieved;
  throw new FarsideError(
    "consistency-not-met",
    `The backup would be ${achieved.level}-consistent, and the policy ${quote(run.policy)} accepts nothing below ${run.least}. ${achieved.note ?? ""}`.trim(),
    { details: { achieved: achieved.level, least: run.least } },
  );
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

async function recordSet(
  context: Context,
  run: BackupIn<"snapshotting">,
  set: SnapshotSet,
  notThawed: FrozenWork<unknown>["notThawed"],
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
