/**
 * One attempt at a snapshot set: preflight, parent, freeze, snapshots, thaw, and the row that says so.
 *
 * 1. All disks or nothing, of one attempt: the set enters the row by a conditional write, which the owner of an older attempt loses.
 * 2. The consistency written is the one that was confirmed after the last snapshot.
 * 3. What an attempt made and its row does not name, the attempt removes (`dropAttempt`); where it dies, clean-up does.
 */
import { freezeDoubt } from "../../core/achieved-consistency.ts";
import type { Obstacle } from "../../core/attempt-failure.ts";
import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { Policy } from "../../core/policy.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { DiskSource, OwnSnapshot, VmInspection } from "../../ports/disk-source.ts";
import { capturedDocument } from "../../wire/vault/captured.ts";
import type { Context } from "../context.ts";
import { claimVm } from "../run/claim-vm.ts";
import { removeChosenSnapshots } from "../run/remove-snapshots.ts";
import { newestRestorePoint } from "../vault/list-restore-points.ts";
import { startSession } from "../vault/work-blobs.ts";
import { writeDocument } from "../vault/write-index.ts";
import { attemptOf, awaitPlatform, unfrozen, type Waits } from "./await-platform.ts";
import { freezePlan } from "./freeze-plan.ts";
import { whileFrozen, type FreezePlan } from "./freeze.ts";
import { stopForSnapshots } from "./halt.ts";
import { readSettings } from "./read-settings.ts";
import { recordSelection } from "./record-selection.ts";
import { refuseShutdown } from "./refuse-shutdown.ts";
import { checkLeast, foundBefore, recordSet, type TakenSnapshots } from "./record-set.ts";

export type Taken =
  | { readonly kind: "taken"; readonly run: BackupIn<"copying"> }
  /** The platform is at work; the row says when to look again. */
  | { readonly kind: "waiting"; readonly retryAfterMs: number }
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
  // Of an attempt before: it must be known to run, or this one would take it for a VM that nobody wants running.
  if (run.halt !== undefined) return { kind: "obstacle", obstacle: { kind: "condition", condition: "start-awaited" } };
  refuseShutdown(context, vm, policy);
  const inspection = await source.inspect(vm, signal);
  const [condition] = inspection.conditions;
  if (condition !== undefined) return { kind: "obstacle", obstacle: { kind: "condition", condition } };
  if (inspection.disks.length === 0) {
    throw new FarsideError(
      "bad-input",
      `The VM ${quote(vm.name)} has no disks to back up: protect it again with its disks.`,
    );
  }
  await recordSelection(context, run.runId, inspection, signal);
  const stops = policy.shutdown === true && inspection.powerState === "running";
  const plan = await freezePlan(context, run, { vm, source, powerState: inspection.powerState }, signal);
  if (plan.kind === "none" && !stops) checkLeast(run, plan);

  const vault = await context.vault(signal);
  const session = await startSession(vault, run.attemptId, signal);
  // After the session's start: what has no tombstone now had none then (rule W2).
  const parent = await newestRestorePoint(vault, run.vmId, signal);
  const captured = capturedDocument(inspection.configuration, { vm, policy });
  const configuration = (await writeDocument(vault, captured, session, signal)).id;

  const found = foundBefore(inspection.powerState, configuration, session.startedAt, parent?.pointId);
  if (stops) return stopForSnapshots(context, run, { vm, policy }, found, inspection, signal);
  const taken = await snapshotAll(context, run, { vm, policy, source, inspection, plan }, signal);
  if (taken === "lost") return { kind: "lost" };
  if (taken.kind === "waiting") return awaitPlatform(context, run, found, taken, signal);
  return recordSet(context, run, { vm, policy }, found, taken, signal);
}

async function removeOlderAttempts(
  context: Context,
  run: BackupIn<"snapshotting">,
  vm: ProtectedVm,
  signal: AbortSignal,
): Promise<void> {
  const { runId, attemptId } = run;
  const older = (one: OwnSnapshot): boolean => one.runId === runId && one.attemptId !== attemptId;
  try {
    await removeChosenSnapshots(context, vm, older, signal);
  } catch (error) {
    // A lock that lets nobody delete keeps no VM from being backed up: the sweep removes them when it is lifted.
    if (!(error instanceof FarsideError) || error.advice === "retry") throw error;
    context.log.log("warning", "snapshots-left", { runId, error: error.message });
  }
}

interface Scene {
  readonly vm: ProtectedVm;
  readonly policy: Policy;
  readonly source: DiskSource;
  readonly inspection: VmInspection;
  readonly plan: FreezePlan;
}

type Snapshots = ({ readonly kind: "taken" } & TakenSnapshots) | Waits;

async function snapshotAll(
  context: Context,
  run: BackupIn<"snapshotting">,
  scene: Scene,
  signal: AbortSignal,
): Promise<Snapshots | "lost"> {
  const { vm, policy, source, inspection, plan } = scene;
  const attempt = attemptOf(run, plan);
  const snapshot = () => source.snapshot(vm, inspection.disks, attempt, signal);
  if (plan.kind !== "freeze") {
    const outcome = await snapshot();
    if (outcome.kind === "waiting") return outcome;
    return { kind: "taken", ...(await unfrozen(run, { vm, source, plan }, outcome, signal)) };
  }
  const guest = { url: plan.guestUrl, ttlSeconds: policy.freezeTtlSeconds };
  const frozen = await whileFrozen(context, run, guest, snapshot, signal);
  if (frozen === "lost") return frozen;
  const { result, ...rest } = frozen;
  if (result.kind === "waiting") {
    throw new FarsideError("internal", "A source that makes its snapshots later cannot have a frozen guest.");
  }
  const doubt = frozen.facts.kind === "frozen" ? freezeDoubt(frozen.facts) : undefined;
  // Worth another try, like a guest that did not answer; after some, the attempt goes on without it where that is allowed.
  if (doubt !== undefined) throw new FarsideError("guest-failed", doubt, { details: { vm: vm.name } });
  return { kind: "taken", snapshots: result.snapshots, ...rest };
}
