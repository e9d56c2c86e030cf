import { FarsideError } from "../../core/errors.ts";
import type { AttemptId, PointId, RunId } from "../../core/ids.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { currentAttempt, isActive } from "../../core/run-transitions.ts";
import type { Run } from "../../core/run.ts";
import type { SnapshotOwner } from "../../core/snapshot-removal.ts";
import { mayRemoveSnapshot } from "../../core/snapshot-removal.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { DiskSource, OwnSnapshot } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { instantOf } from "./instant-snapshots.ts";
import { newestRestorePoint, readManifest } from "../vault/list-restore-points.ts";
import { mapOrdered } from "../vault/map-ordered.ts";

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
    let listed: readonly OwnSnapshot[] = [];
    if (vm !== undefined && vm.vmId === run.vmId) {
      const source = context.source(vm.source.kind);
      const found = await findOrphans(context, vm, signal);
      // First: a lock that lets nobody delete is no reason to leave access to the base behind.
      const read = found.kept.filter((snapshot) => mayHaveRead(run, snapshot));
      await each(read, ({ reference }, aborted) => source.release(reference, aborted), signal);
      await removeAll(source, found.doomed, signal);
      ({ listed } = found);
    } else await removeOwnSet(context, run, signal);
    if (run.state === "succeeded") await removeOfParent(context, run, listed, signal);
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
  await removeAll(source, run.set.snapshots, signal);
}

/**
 * What no list shows any more, and the parent's manifest still names: snapshots of page blobs that this point has not, and of a VM that was
 * moved, whose former place nobody looks into. What the list shows is kept or removed by the rule for it.
 */
async function removeOfParent(
  context: Context,
  run: BackupIn<"succeeded">,
  listed: readonly OwnSnapshot[],
  signal: AbortSignal,
): Promise<void> {
  const { parentPointId, source } = run.set;
  if (parentPointId === undefined) return;
  const parent = await readManifest(await context.vault(signal), run.vmId, parentPointId, signal);
  if (parent.kind === "absent") return;
  const seen = new Set(listed.map(({ reference }) => keyOf(reference)));
  for (const { snapshot } of parent.manifest.disks) {
    if (!seen.has(keyOf(snapshot))) await context.source(source).removeSnapshot(snapshot, signal);
  }
}

function keyOf(reference: OwnSnapshot["reference"]): string {
  const parts = Object.entries(reference).map((entry) => JSON.stringify(entry));
  // ARM writes one id in upper and lower case by turns.
  return parts.toSorted().join().toLowerCase();
}

/** Removes every snapshot of this VM that nobody needs. Returns how many. */
export async function removeOrphanSnapshots(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<number> {
  const { doomed } = await findOrphans(context, vm, signal);
  await removeAll(context.source(vm.source.kind), doomed, signal);
  return doomed.length;
}

/** Of a run that has ended, so that nobody reads it now. */
interface KeptSnapshot extends OwnSnapshot {
  readonly isBase: boolean;
  /** The restore point that it belongs to, where its run's row tells. */
  readonly pointId: PointId | undefined;
}

interface Found {
  /** Nobody needs them: the oldest, no more than are removed at once. */
  readonly doomed: readonly OwnSnapshot[];
  readonly kept: readonly KeptSnapshot[];
  readonly listed: readonly OwnSnapshot[];
}

async function findOrphans(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<Found> {
  const listed = await context.source(vm.source.kind).listSnapshots(vm, signal);
  if (listed.length === 0) return { doomed: [], kept: [], listed };
  // In this order: a run that has ended when its row is read has committed before, so that the base read after it is at least its own.
  const owners = await ownersOf(context, new Set(listed.map((snapshot) => snapshot.runId)), signal);
  const base = await baseOf(context, vm.vmId, signal);
  const instant = await instantOf(context, vm, owners, signal);
  const ownerOf = (runId: RunId): SnapshotOwner => owners.get(runId) ?? { kind: "unknown" };
  const facts = { base, instant, ownerOf, now: context.clock.now() };
  const doomed = new Set(listed.filter((snapshot) => mayRemoveSnapshot(snapshot, facts)));
  const kept = listed.flatMap((one): KeptSnapshot[] => {
    const owner = ownerOf(one.runId);
    if (doomed.has(one) || owner.kind === "active") return [];
    const point = owner.kind === "ended" && owner.point?.attemptId === one.attemptId ? owner.point : undefined;
    return [{ ...one, isBase: one.attemptId === base, pointId: point?.pointId }];
  });
  return { doomed: [...doomed].sort(oldestFirst).slice(0, mostAtOnce), kept, listed };
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
  await removeAll(source, (await source.listSnapshots(vm, signal)).filter(doomed), signal);
}

/** Seconds each at a platform: of 32 disks one after the other, a function would be held for minutes. */
const atOnce = 8;

async function each<T>(
  items: readonly T[],
  work: (item: T, aborted: AbortSignal) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for await (const _ of mapOrdered(items, atOnce, work, signal));
}

function removeAll(
  source: DiskSource,
  snapshots: readonly Pick<OwnSnapshot, "reference">[],
  signal: AbortSignal,
): Promise<void> {
  return each(snapshots, ({ reference }, aborted) => source.removeSnapshot(reference, aborted), signal);
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
