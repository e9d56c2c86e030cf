/**
 * Incremental snapshots, one for each disk: for VMs with a single disk where crash consistency is enough, for stopped VMs, and where
 * the platform makes no crash-consistent restore point. Their tags carry vault, VM, run, attempt and disk; their names end with a digest of the
 * vault's id, for two schedules may give their runs of one VM the same id.
 */
import type { DiskSnapshot } from "../../../core/run.ts";
import { FarsideError } from "../../../core/errors.ts";
import type { VmId } from "../../../core/ids.ts";
import type { VmResourceId } from "../../../core/resource-id.ts";
import type { SnapshotAttempt } from "../../../ports/disk-source.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions, requireParts } from "./arm-connection.ts";
import { parseModel, snapshotModel } from "./arm-models.ts";
import { begin, type BegunOperation } from "./begun-operation.ts";
import { inspected, instant, isCopying, ownPrefix, shortDigest, type FinishedPoint } from "./restore-points.ts";
import type { InspectedDisk } from "./vm-disks.ts";

export const snapshotTags = {
  vault: "farside-vault",
  vm: "farside-vm",
  run: "farside-run",
  attempt: "farside-attempt",
  disk: "farside-disk",
} as const;

/** All are begun before any is looked at, so that they lie close together. */
export async function beginSnapshots(
  arm: ArmConnection,
  asked: {
    readonly vmId: VmId;
    readonly vaultId: string;
    readonly resourceId: VmResourceId;
    readonly location: string;
    readonly disks: readonly InspectedDisk[];
    readonly attempt: SnapshotAttempt;
  },
  signal: AbortSignal,
): Promise<BegunOperation["made"]> {
  const { vmId, vaultId, resourceId, location, disks, attempt } = asked;
  // In the VM's group, wherever its disks are: all that was made of a VM is found by one list, also when its disks or itself are gone.
  const { subscriptionId, resourceGroup } = requireParts(resourceId);
  const tasks = disks.map(async (disk, index) => {
    const name = `${ownPrefix}${attempt.attemptId}-${index}-${shortDigest(vaultId)}`;
    const tags = {
      [snapshotTags.vault]: vaultId,
      [snapshotTags.vm]: vmId,
      [snapshotTags.run]: attempt.runId,
      [snapshotTags.attempt]: attempt.attemptId,
      [snapshotTags.disk]: disk.name,
    };
    const creationData = { createOption: "Copy", sourceResourceId: disk.id };
    const create = arm
      .compute(subscriptionId)
      .snapshots.createOrUpdate(
        resourceGroup,
        name,
        { location, incremental: true, creationData, tags },
        { abortSignal: signal },
      );
    const poller = await begin(create, `begin a snapshot of the disk ${disk.name}`, signal);
    const id = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/snapshots/${name}`;
    return { id, poller };
  });
  const results = await Promise.allSettled(tasks);
  const failed = results.find((result) => result.status === "rejected");
  // What was begun is removed by the run, which finds it by its tags.
  if (failed !== undefined) throw failed.reason;
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}

/** Requests: one for each disk. */
export async function readSnapshots(
  arm: ArmConnection,
  { made, disks, note }: BegunOperation,
  signal: AbortSignal,
): Promise<FinishedPoint> {
  const snapshots: DiskSnapshot[] = [];
  for (const [index, disk] of disks.entries()) {
    const { name, identity } = disk;
    const { id = "" } = made[index] ?? {};
    const raw = await arm.get(id, { "api-version": apiVersions.disk }, `read the snapshot of the disk ${name}`, signal);
    const { properties } = parseModel(snapshotModel, raw, `the snapshot of the disk ${name}`);
    if (isCopying(properties)) return { kind: "copying" };
    if (properties.creationData?.sourceUniqueId !== undefined && properties.creationData.sourceUniqueId !== identity) {
      throw new FarsideError("snapshot-failed", `The disk ${name} was replaced by another while it was backed up.`);
    }
    snapshots.push({
      ...inspected(disk),
      sizeBytes: properties.diskSizeBytes ?? disk.sizeBytes,
      snapshotAt: instant(properties.timeCreated),
      reference: { kind: "snapshot", id },
    });
  }
  return { kind: "finished", snapshots, achieved: { level: "crash", ...(note === undefined ? {} : { note }) } };
}
