/**
 * The manifest: one restore point, all disks of a VM at one instant (docs/vault-format.md).
 *
 * 1. A restore point exists exactly when its manifest stands and is not void (rule W5).
 * 2. Field names here are the stored format: they never change meaning.
 */
import type { ConsistencyLevel } from "../consistency.ts";
import type { DiskName, PointId, PolicyName, RunId, VmId, VmName, AttemptId } from "../ids.ts";
import type { Timestamp } from "../timestamp.ts";

/** 64 lower-case hex digits: the id of a stored object, or of the all-zero chunk. */
export type ObjectId = string & { readonly __objectId: true };

export type DiskMode = "full" | "incremental";
export type DiskRole = "os" | "data";

export interface ManifestDisk {
  readonly name: DiskName;
  readonly lun?: number;
  readonly role: DiskRole;
  readonly sizeBytes: number;
  readonly logicalSectorSize: number;
  /** The disk's lasting identity at its source; another identity under the same name is another disk. */
  readonly identity: string;
  /** Id of the disk index (kind 3). */
  readonly index: ObjectId;
  readonly snapshotAt: Timestamp;
  /** How the source finds this snapshot again, to compare the next backup with it. Never a SAS. */
  readonly snapshot: Readonly<Record<string, string>>;
  /** Firmware variables and virtual TPM that go with it, as the platform exported them. */
  readonly guestState?: ManifestGuestState;
  readonly mode: DiskMode;
  readonly changedBytes: number;
  readonly newChunks: number;
  readonly storedBytes: number;
}

/** Stored as a disk is. */
export interface ManifestGuestState {
  readonly index: ObjectId;
  readonly sizeBytes: number;
}

export interface ManifestConsistency {
  readonly requested: ConsistencyLevel;
  readonly achieved: ConsistencyLevel;
  readonly frozenAt?: Timestamp;
  readonly thawedAt?: Timestamp;
  /** Milliseconds between the first and the last snapshot of the set. */
  readonly skewMs: number;
  readonly note?: string;
}

export interface ManifestSafety {
  readonly usnRollbackRisk: boolean;
  readonly note?: string;
}

/** Without `previousMac` and `mac`, which writing adds. */
export interface ManifestBody {
  readonly formatVersion: 1;
  readonly vaultId: string;
  readonly vmId: VmId;
  readonly vmName: VmName;
  readonly pointId: PointId;
  readonly runId: RunId;
  readonly attemptId: AttemptId;
  readonly parentPointId?: PointId;
  readonly sessionStartedAt: Timestamp;
  readonly snapshotAt: Timestamp;
  readonly committedAt: Timestamp;
  readonly trigger: "schedule" | "on-demand";
  readonly policy?: PolicyName;
  readonly consistency: ManifestConsistency;
  readonly safety: ManifestSafety;
  readonly source: { readonly kind: "page-blob" | "file" | "managed"; readonly [field: string]: string };
  /** Id of the stored document (kind 4) that holds the VM's captured configuration. */
  readonly configuration: ObjectId;
  readonly disks: readonly ManifestDisk[];
  readonly tool: { readonly name: string; readonly version: string };
}

export interface Manifest extends ManifestBody {
  /** Which of the vault's keys signed it; absent for the first. */
  readonly keyEpoch?: number;
  /** The `mac` of the VM's restore point before this one; the first has none. */
  readonly previousMac?: string;
  readonly mac: string;
}
