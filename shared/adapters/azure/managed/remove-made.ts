/**
 * Removes a snapshot or a restore point: its access first, for the platform deletes nothing that is shared. The deletion itself is begun
 * and not waited for: where it fails at its end, the sweep finds what is left and tries again.
 */
import { hasCode } from "../../../core/errors.ts";
import type { DiskAccess } from "./access.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions, requireParts } from "./arm-connection.ts";
import { diskPointModel, parseModel } from "./arm-models.ts";
import { begin } from "./begun-operation.ts";
import { pointOf, shownReference, type DiskReference } from "./disk-reference.ts";

/** Done as well where it is already gone. */
export async function removeMade(
  arm: ArmConnection,
  access: DiskAccess,
  reference: DiskReference,
  signal: AbortSignal,
): Promise<void> {
  try {
    if (reference.kind === "snapshot") await removeSnapshot(arm, access, reference, signal);
    else
      await removePoint(arm, access, reference.kind === "restore-point" ? reference.id : pointOf(reference.id), signal);
  } catch (error) {
    if (!hasCode(error, "not-found")) throw error;
  }
}

async function removeSnapshot(
  arm: ArmConnection,
  access: DiskAccess,
  reference: DiskReference,
  signal: AbortSignal,
): Promise<void> {
  await access.giveBack(reference, signal);
  const { subscriptionId, resourceGroup, path } = requireParts(reference.id);
  const [, name = ""] = path[0] ?? [];
  const deleting = arm.compute(subscriptionId).snapshots.delete(resourceGroup, name, { abortSignal: signal });
  await begin(deleting, `remove ${shownReference(reference)}`, signal);
}

async function removePoint(arm: ArmConnection, access: DiskAccess, id: string, signal: AbortSignal): Promise<void> {
  // Removed with another of its disks just now: one look, and nothing more.
  const disks: DiskReference[] = [];
  const query = { "api-version": apiVersions.disk };
  for await (const raw of arm.list(`${id}/diskRestorePoints`, query, "list the disks of a restore point", signal)) {
    disks.push({ kind: "disk-restore-point", id: parseModel(diskPointModel, raw, "a disk of a restore point").id });
  }
  for (const disk of disks) await access.giveBack(disk, signal);
  const { subscriptionId, resourceGroup, path } = requireParts(id);
  const [collection = "", point = ""] = path.map(([, name]) => name);
  const deleting = arm
    .compute(subscriptionId)
    .restorePoints.delete(resourceGroup, collection, point, { abortSignal: signal });
  await begin(deleting, `remove the restore point ${point}`, signal);
}
