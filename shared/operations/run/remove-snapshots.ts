import { FarsideError } from "../../core/errors.ts";
import type { AttemptId, RunId } from "../../core/ids.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { currentAttempt, isActive } from "../../core/run-transitions.ts";
import type { SnapshotOwner } from "../../core/snapshot-removal.ts";
import { mayRemoveSnapshot } from "../../core/snapshot-removal.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { OwnSnapshot } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { newestRestorePoint, readManifest } from "../vault/list-restore-points.ts";

/**
 * After the end of a backup run: removes what it and its forerunners left on the VM's disks, but for the base of the next one. What
 * cannot be removed for good (no access any more) keeps no run from being done: the VM's sweep tries again.
 */
export async function removeSnapshots(
  context: Context,
  run: BackupIn<"succeeded" | "failed" | "cancelled">,
  signal: AbortSignal,
): Promise<void> {
  try {
    const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
    if (vm !== undefined && vm.vmId === run.vmId) {
      for (const { reference } of (await removeOrphans(context, vm, signal)).kept) {
        await context.source(vm.source.kind).release(reference, signal);
      }
    } else await removeOwnSet(context, run, signal);
    if (run.state === "succeeded") await removeOfGoneDisks(context, run, signal);
  } catch (error) {
    if (!(error instanceof FarsideError) || error.advice === "retry") throw error;
    context.log.log("warning", "snapshots-left", { runId: run.runId, error: error.message });
  }
}

/** Not protected any more: the VM's disks can no longer be listed, and the row tells what this run made. */
async function removeOwnSet(
  context: Context,
  run: BackupIn<"succeeded" | "failed" | "cancelled">,
  signal: AbortSignal,
): Promise<void> {
  if (run.set === undefined || (await baseOf(context, run.vmId, signal)) === run.set.attemptId) return;
  const source = context.source(run.set.source);
  for (const { reference } of run.set.snapshots) await source.removeSnapshot(reference, signal);
}

/** Disks that the parent had and this point has not: the settings do not name them any more, the parent's manifest does. */
async function removeOfGoneDisks(context: Context, run: BackupIn<"succeeded">, signal: AbortSignal): Promise<void> {
  const { parentPointId, snapshots, source } = run.set;
  if (parentPointId === undefined) return;
  const parent = await readManifest(await context.vault(signal), run.vmId, parentPointId, signal);
  if (parent.kind === "absent") return;
  const kept = new Set(snapshots.map(({ identity }) => identity));
  for (const { identity, snapshot } of parent.manifest.disks) {
    if (!kept.has(identity)) await context.source(source).removeSnapshot(snapshot, signal);
  }
}

/** Removes every snapshot of this VM that nobody needs. Returns how many. */
export async function removeOrphanSnapshots(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<number> {
  return (await removeOrphans(context, vm, signal)).removed;
}

/** `kept`: of runs that have ended, so that nobody reads them now. */
async function removeOrphans(
  context: Context,
  vm: ProtectedVm,
  signal: AbortSignal,
): Promise<{ readonly removed: number; readonly kept: readonly OwnSnapshot[] }> {
  const source = context.source(vm.source.kind);
  const snapshots = await source.listSnapshots(vm, signal);
  if (snapshots.length === 0) return { removed: 0, kept: [] };
  // In this order: a run that has ended when its row is read has committed before, so that the base read after it is at least its own.
  const owners = await ownersOf(context, new Set(snapshots.map((snapshot) => snapshot.runId)), signal);
  const base = await baseOf(context, vm.vmId, signal);
  const facts = {
    base,
    ownerOf: (runId: RunId): SnapshotOwner => owners.get(runId) ?? { kind: "unknown" },
    now: context.clock.now(),
  };
  const doomed = new Set(snapshots.filter((snapshot) => mayRemoveSnapshot(snapshot, facts)));
  for (const { reference } of doomed) await source.removeSnapshot(reference, signal);
  const kept = snapshots.filter((one) => !doomed.has(one) && facts.ownerOf(one.runId).kind !== "active");
  return { removed: doomed.size, kept };
}

/** Removes those of our snapshots on this VM's disks that `doomed` names, whatever else refers to them. */
export async function removeChosenSnapshots(
  context: Context,
  vm: ProtectedVm,
  doomed: (snapshot: OwnSnapshot) => boolean,
  signal: AbortSignal,
): Promise<void> {
  const source = context.source(vm.source.kind);
  for (const snapshot of await source.listSnapshots(vm, signal)) {
    if (doomed(snapshot)) await source.removeSnapshot(snapshot.reference, signal);
  }
}

async function baseOf(
  context: Context,
  vmId: ProtectedVm["vmId"],
  signal: AbortSignal,
): Promise<AttemptId | undefined> {
  return (await newestRestorePoint(await context.vault(signal), vmId, signal))?.manifest.attemptId;
}

async function ownersOf(
  context: Context,
  runIds: ReadonlySet<RunId>,
  signal: AbortSignal,
): Promise<ReadonlyMap<RunId, SnapshotOwner>> {
  const owners = new Map<RunId, SnapshotOwner>();
  for (const runId of runIds) {
    const run = (await context.catalog.runs.get(runId, signal))?.value;
    if (run === undefined) owners.set(runId, { kind: "unknown" });
    else if (!isActive(run)) owners.set(runId, { kind: "ended" });
    else owners.set(runId, { kind: "active", attemptId: run.kind === "backup" ? currentAttempt(run) : undefined });
  }
  return owners;
}
