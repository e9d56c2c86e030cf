import { FarsideError } from "../../core/errors.ts";
import type { AttemptId, PointId, RunId } from "../../core/ids.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { currentAttempt, isActive } from "../../core/run-transitions.ts";
import type { Run } from "../../core/run.ts";
import type { SnapshotOwner } from "../../core/snapshot-removal.ts";
import { mayRemoveSnapshot } from "../../core/snapshot-removal.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { OwnSnapshot } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { instantOf } from "./instant-snapshots.ts";
import { newestRestorePoint, readManifest } from "../vault/list-restore-points.ts";

/**
 * After the end of a backup run: removes what it and its forerunners left on the VM's disks, but for the base of the next one and what stays
 * for quick restores. What cannot be removed for good (no access any more) keeps no run from being done: the VM's sweep tries again.
 */
export async function removeSnapshots(
  context: Context,
  run: BackupIn<"succeeded" | "failed" | "cancelled">,
  signal: AbortSignal,
): Promise<void> {
  try {
    const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
    let kept: readonly KeptSnapshot[] = [];
    if (vm !== undefined && vm.vmId === run.vmId) {
      ({ kept } = await removeOrphans(context, vm, signal));
      for (const snapshot of kept) {
        if (mayHaveRead(run, snapshot)) await context.source(vm.source.kind).release(snapshot.reference, signal);
      }
    } else await removeOwnSet(context, run, signal);
    if (run.state === "succeeded") await removeOfGoneDisks(context, run, kept, signal);
  } catch (error) {
    if (!(error instanceof FarsideError) || error.advice === "retry") throw error;
    context.log.log("warning", "snapshots-left", { runId: run.runId, error: error.message });
  }
}

/** Its own, and what it was compared with: the base of now where it failed, that of before where it succeeded. */
function mayHaveRead(
  run: BackupIn<"succeeded" | "failed" | "cancelled">,
  { runId, isBase, pointId }: KeptSnapshot,
): boolean {
  return isBase || runId === run.runId || (pointId !== undefined && pointId === run.set?.parentPointId);
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
async function removeOfGoneDisks(
  context: Context,
  run: BackupIn<"succeeded">,
  kept: readonly KeptSnapshot[],
  signal: AbortSignal,
): Promise<void> {
  const { parentPointId, snapshots, source } = run.set;
  if (parentPointId === undefined) return;
  const parent = await readManifest(await context.vault(signal), run.vmId, parentPointId, signal);
  if (parent.kind === "absent") return;
  // A platform's restore point is removed as a whole, and that list finds it also when a disk of it is gone.
  if (source === "managed" && kept.some(({ attemptId }) => attemptId === parent.manifest.attemptId)) return;
  const there = new Set(snapshots.map(({ identity }) => identity));
  for (const { identity, snapshot } of parent.manifest.disks) {
    if (!there.has(identity)) await context.source(source).removeSnapshot(snapshot, signal);
  }
}

/** Removes every snapshot of this VM that nobody needs. Returns how many. */
export async function removeOrphanSnapshots(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<number> {
  return (await removeOrphans(context, vm, signal)).removed;
}

/** Of a run that has ended, so that nobody reads it now. */
interface KeptSnapshot extends OwnSnapshot {
  readonly isBase: boolean;
  /** The restore point that it belongs to, where its run's row tells. */
  readonly pointId: PointId | undefined;
}

async function removeOrphans(
  context: Context,
  vm: ProtectedVm,
  signal: AbortSignal,
): Promise<{ readonly removed: number; readonly kept: readonly KeptSnapshot[] }> {
  const source = context.source(vm.source.kind);
  const snapshots = await source.listSnapshots(vm, signal);
  if (snapshots.length === 0) return { removed: 0, kept: [] };
  // In this order: a run that has ended when its row is read has committed before, so that the base read after it is at least its own.
  const owners = await ownersOf(context, new Set(snapshots.map((snapshot) => snapshot.runId)), signal);
  const base = await baseOf(context, vm.vmId, signal);
  const instant = await instantOf(context, vm, owners, signal);
  const ownerOf = (runId: RunId): SnapshotOwner => owners.get(runId) ?? { kind: "unknown" };
  const facts = { base, instant, ownerOf, now: context.clock.now() };
  const doomed = new Set(snapshots.filter((snapshot) => mayRemoveSnapshot(snapshot, facts)));
  const removed = [...doomed].sort(oldestFirst).slice(0, mostAtOnce);
  for (const { reference } of removed) await source.removeSnapshot(reference, signal);
  const kept = snapshots.flatMap((one): KeptSnapshot[] => {
    const owner = ownerOf(one.runId);
    if (doomed.has(one) || owner.kind === "active") return [];
    const point = owner.kind === "ended" && owner.point?.attemptId === one.attemptId ? owner.point : undefined;
    return [{ ...one, isBase: one.attemptId === base, pointId: point?.pointId }];
  });
  return { removed: removed.length, kept };
}

/** Many come due at once where a policy keeps fewer days than before: the sweeps after this one go on, and nobody waits for all. */
const mostAtOnce = 200;

function oldestFirst(a: OwnSnapshot, b: OwnSnapshot): number {
  return a.attemptId < b.attemptId ? -1 : 1;
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
  for (const runId of runIds) owners.set(runId, ownerOfRun((await context.catalog.runs.get(runId, signal))?.value));
  return owners;
}

function ownerOfRun(run: Run | undefined): SnapshotOwner {
  if (run === undefined) return { kind: "unknown" };
  if (isActive(run)) return { kind: "active", attemptId: run.kind === "backup" ? currentAttempt(run) : undefined };
  if (run.kind !== "backup" || run.state !== "succeeded") return { kind: "ended" };
  const { attemptId, snapshotAt } = run.set;
  return { kind: "ended", point: { attemptId, snapshotAt, pointId: run.restorePointId } };
}
