import type { AttemptId, RunId } from "../../core/ids.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { currentAttempt, isActive } from "../../core/run-transitions.ts";
import type { SnapshotOwner } from "../../core/snapshot-removal.ts";
import { mayRemoveSnapshot } from "../../core/snapshot-removal.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { newestRestorePoint } from "../vault/list-restore-points.ts";

/** After the end of a backup run: removes what it and its forerunners left on the VM's disks, but for the base of the next one. */
export async function removeSnapshots(
  context: Context,
  run: BackupIn<"succeeded" | "failed" | "cancelled">,
  signal: AbortSignal,
): Promise<void> {
  const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
  if (vm !== undefined && vm.vmId === run.vmId) {
    await removeOrphanSnapshots(context, vm, signal);
    return;
  }
  // Not protected any more: its disks can no longer be listed, and the row tells what this run made.
  const source = context.source(run.set?.source ?? "page-blob");
  if (run.set === undefined || (await baseOf(context, run.vmId, signal)) === run.set.attemptId) return;
  for (const { reference } of run.set.snapshots) await source.removeSnapshot(reference, signal);
}

/** Removes every snapshot of this VM that nobody needs. Returns how many. */
export async function removeOrphanSnapshots(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<number> {
  const source = context.source(vm.source.kind);
  const snapshots = await source.listSnapshots(vm, signal);
  if (snapshots.length === 0) return 0;
  // In this order: a run that has ended when its row is read has committed before, so that the base read after it is at least its own.
  const owners = await ownersOf(context, new Set(snapshots.map((snapshot) => snapshot.runId)), signal);
  const base = await baseOf(context, vm.vmId, signal);
  const facts = {
    base,
    ownerOf: (runId: RunId): SnapshotOwner => owners.get(runId) ?? { kind: "unknown" },
    now: context.clock.now(),
  };
  const doomed = snapshots.filter((snapshot) => mayRemoveSnapshot(snapshot, facts));
  for (const { reference } of doomed) await source.removeSnapshot(reference, signal);
  return doomed.length;
}

/** Removes what attempts of this run left, all or all but one. */
export async function removeAttempts(
  context: Context,
  vm: ProtectedVm,
  doomed: (attemptId: AttemptId) => boolean,
  runId: RunId,
  signal: AbortSignal,
): Promise<void> {
  const source = context.source(vm.source.kind);
  for (const snapshot of await source.listSnapshots(vm, signal)) {
    if (snapshot.runId === runId && doomed(snapshot.attemptId)) await source.removeSnapshot(snapshot.reference, signal);
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
