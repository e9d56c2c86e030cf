/**
 * Looks after what belongs to a VM and to no run any more: seals, rows of restore points, snapshots, a claim of the dead.
 *
 * 1. The vault is the truth: rows follow it, in both directions.
 * 2. Rows are read before the vault is listed: a row that was there before has its manifest in the listing, or lies.
 */
import { hasCode } from "../../core/errors.ts";
import type { PointId } from "../../core/ids.ts";
import { restorePointOf } from "../../core/restore-point.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { listAll } from "../list-all.ts";
import type { ReconcileCounts } from "./counts.ts";
import { letGoOfReverts } from "../restore/let-go-of-reverts.ts";
import { activeRunOf, noteRestorePoint, releaseVm } from "../run/claim-vm.ts";
import { removeOrphanSnapshots } from "../run/remove-snapshots.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import type { RestorePointEntry } from "../vault/list-restore-points.ts";
import { listRestorePoints, readManifest } from "../vault/list-restore-points.ts";
import { sealManifest } from "../vault/seal-manifest.ts";

export async function sweepVm(
  context: Context,
  vm: ProtectedVm,
  counts: ReconcileCounts,
  signal: AbortSignal,
): Promise<void> {
  const vault = await context.vault(signal);
  const { vmId } = vm;
  const rows = new Set<PointId>();
  for await (const { value } of listAll(context.catalog.restorePoints, { vmId }, signal)) rows.add(value.pointId);
  const points = await listRestorePoints(vault, vmId, signal);
  const standing = new Set<PointId>();
  for (const point of points) {
    if (await isStanding(vault, point, counts, signal)) standing.add(point.pointId);
  }
  for (const pointId of standing) {
    if (!rows.has(pointId)) await rebuildRow(context, vault, { vmId, pointId }, counts, signal);
  }
  for (const pointId of rows) {
    if (standing.has(pointId)) continue;
    if ((await context.catalog.restorePoints.remove({ vmId, pointId }, undefined, signal)) === "removed")
      counts.rowsRebuilt++;
  }
  await releaseDeadClaim(context, vm, signal);
  counts.orphansRemoved += await removeOrphanSnapshots(context, vm, signal);
  await letGoOfReverts(context, vm, signal);
}

/** Whether it counts, has not expired, and may have a row. Seals what its writer could not. */
async function isStanding(
  vault: OpenVault,
  point: RestorePointEntry,
  counts: ReconcileCounts,
  signal: AbortSignal,
): Promise<boolean> {
  if (point.tombstonedAt !== undefined) return false;
  if (point.sealed) return true;
  try {
    const sealed = await sealManifest(vault, point.vmId, point.pointId, signal);
    if (sealed === "sealed") counts.pointsSealed++;
    return sealed === "sealed" || sealed === "already";
  } catch (error) {
    // Damaged: for `verify` to tell of. Its row stays as it is, if it has one: that it cannot be read now is no reason to forget it.
    if (hasCode(error, "vault-corrupt")) return true;
    throw error;
  }
}

async function rebuildRow(
  context: Context,
  vault: OpenVault,
  key: { readonly vmId: ProtectedVm["vmId"]; readonly pointId: PointId },
  counts: ReconcileCounts,
  signal: AbortSignal,
): Promise<void> {
  try {
    const found = await readManifest(vault, key.vmId, key.pointId, signal);
    if (found.kind !== "standing") return;
    const { manifest } = found;
    if ((await context.catalog.restorePoints.insert(restorePointOf(manifest), signal)) !== "exists")
      counts.rowsRebuilt++;
    await noteRestorePoint(context, manifest, signal);
  } catch (error) {
    if (!hasCode(error, "vault-corrupt")) throw error;
  }
}

async function releaseDeadClaim(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<void> {
  const claimed = (await context.catalog.vmStates.get(vm.vmId, signal))?.value.activeRunId;
  if (claimed === undefined || (await activeRunOf(context, vm.vmId, signal)) !== undefined) return;
  await releaseVm(context, vm.vmId, claimed, signal);
}
