/** A restore point as the catalog shows it: a projection of its manifest, which alone decides that it exists. */
import type { DiskName, PointId, PolicyName, RunId, VmId, VmName } from "./ids.ts";
import type { Timestamp } from "./timestamp.ts";
import type { DiskMode, DiskRole, Manifest, ManifestConsistency, ManifestSafety } from "./vault/manifest.ts";

export interface RestorePointDisk {
  readonly name: DiskName;
  readonly lun?: number;
  readonly role: DiskRole;
  readonly sizeBytes: number;
  readonly mode: DiskMode;
  readonly changedBytes: number;
  readonly newChunks: number;
  readonly storedBytes: number;
}

export interface RestorePoint {
  readonly pointId: PointId;
  readonly vmId: VmId;
  readonly vm: VmName;
  readonly runId: RunId;
  readonly parentPointId?: PointId;
  readonly trigger: "schedule" | "on-demand";
  readonly policy?: PolicyName;
  readonly snapshotAt: Timestamp;
  readonly committedAt: Timestamp;
  readonly consistency: ManifestConsistency;
  readonly safety: ManifestSafety;
  readonly disks: readonly RestorePointDisk[];
}

export function restorePointOf(manifest: Manifest): RestorePoint {
  return {
    pointId: manifest.pointId,
    vmId: manifest.vmId,
    vm: manifest.vmName,
    runId: manifest.runId,
    ...(manifest.parentPointId === undefined ? {} : { parentPointId: manifest.parentPointId }),
    trigger: manifest.trigger,
    ...(manifest.policy === undefined ? {} : { policy: manifest.policy }),
    snapshotAt: manifest.snapshotAt,
    committedAt: manifest.committedAt,
    consistency: manifest.consistency,
    safety: manifest.safety,
    disks: manifest.disks.map(({ name, lun, role, sizeBytes, mode, changedBytes, newChunks, storedBytes }) => ({
      name,
      ...(lun === undefined ? {} : { lun }),
      role,
      sizeBytes,
      mode,
      changedBytes,
      newChunks,
      storedBytes,
    })),
  };
}
