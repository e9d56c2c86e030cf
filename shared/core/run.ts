/**
 * A run: one backup or one restore of one VM, from its request to its end (docs/architecture.md, "Runs").
 *
 * Backup: queued → snapshotting → copying → committing → succeeded; restore: queued → preparing → copying → finishing → succeeded.
 * From every state before the end a run can become `failed` (with its error) or `cancelled`. `queued` also holds a run that
 * waits because its VM is not safe to back up now: `waiting` says for what and until when.
 *
 * 1. Rows are the state; messages only say "look at this run". Every change is a conditional write on the row's ETag.
 * 2. `attempt` counts the snapshot sets tried. Everything made for an attempt carries its id; a step of another attempt is
 *    a late message and does nothing.
 * 3. A state's own facts live on that state, so that a step cannot find a fact missing.
 */
import type { ConsistencyLevel } from "./consistency.ts";
import type { ErrorRecord } from "./errors.ts";
import type { AttemptId, DiskName, PointId, PolicyName, RunId, VmId, VmName } from "./ids.ts";
import type { MachineTargetSpec, MadeResource } from "./machine-restore.ts";
import type { VmResourceId } from "./resource-id.ts";
import type { Timestamp } from "./timestamp.ts";
import type { DiskMode, DiskRole, ManifestConsistency, ManifestSafety, ObjectId } from "./vault/manifest.ts";
import type { PowerState, VmSource } from "./vm.ts";

export type RunKind = "backup" | "restore";
export type BackupTrigger =
  | { readonly kind: "schedule"; readonly policy: PolicyName; readonly slot: Timestamp }
  | { readonly kind: "on-demand" };

interface RunFacts {
  readonly runId: RunId;
  readonly vm: VmName;
  readonly vmId: VmId;
  readonly createdAt: Timestamp;
  /** Somebody asked that it be stopped; the next step does it. */
  readonly cancelRequestedAt?: Timestamp;
}

/** A snapshot of one disk, as the source knows it. */
export interface DiskSnapshot {
  readonly disk: DiskName;
  readonly lun?: number;
  readonly role: DiskRole;
  readonly sizeBytes: number;
  readonly logicalSectorSize: number;
  /** The disk's lasting identity; another one under the same name is another disk and is copied in full. */
  readonly identity: string;
  readonly snapshotAt: Timestamp;
  /** How the source finds it again. Never a SAS. */
  readonly reference: Readonly<Record<string, string>>;
  /** Firmware variables and a virtual TPM go with it (`DiskSource.guestState`). */
  readonly hasGuestState?: true;
}

/** What one copied window, one disk or a whole run moved. */
export interface CopyCounts {
  /** Bytes that the source's diff names; in a full copy, that may hold data; in a comparison, of chunks found different. */
  readonly changedBytes: number;
  readonly readBytes: number;
  /** Chunks, and their plain bytes, that were not in the vault before. */
  readonly newChunks: number;
  readonly newBytes: number;
  /** What those chunks take in the vault, compressed and encrypted. */
  readonly storedBytes: number;
}

export interface DiskProgress extends CopyCounts {
  readonly name: DiskName;
  readonly sizeBytes: number;
  readonly mode: DiskMode;
  /** How the change was found: everything read, the source's own diff, or every allocated chunk compared by hash. */
  readonly method: DiskMethod;
}

export type DiskMethod = "all" | "diff" | "compare";

/** Everything about one set of snapshots; made in one attempt, used by every later state. */
export interface SnapshotSet {
  readonly attemptId: AttemptId;
  readonly pointId: PointId;
  readonly source: VmSource["kind"];
  /** Id of the stored document that holds the VM's configuration as it was found before the snapshots. */
  readonly configuration: ObjectId;
  /** The vault service's time at the run's first write (rule W1). */
  readonly sessionStartedAt: Timestamp;
  readonly snapshotAt: Timestamp;
  readonly consistency: ManifestConsistency;
  readonly safety: ManifestSafety;
  readonly snapshots: readonly DiskSnapshot[];
  readonly parentPointId?: PointId;
  readonly downtime?: Downtime;
}

/** Of a VM that was stopped for its snapshots. */
export interface Downtime {
  readonly stopAskedAt: Timestamp;
  /** Absent while no start was accepted. */
  readonly startAskedAt?: Timestamp;
  /** When it was seen running: it may have been up before. */
  readonly runningAt?: Timestamp;
}

export interface WindowProgress {
  /** Windows planned and windows seen finished, over all disks. */
  readonly windows: number;
  readonly windowsDone: number;
}

/** What a queued run waits for: a transient condition, or the code of the error that ended its last try. */
export interface Waiting {
  readonly condition: string;
  /** How often in a row; decides the next delay. */
  readonly tries: number;
}

/** Recorded before the guest is asked to freeze, so that the reconciler can thaw what we could not. */
export interface Freeze {
  readonly guestUrl: string;
  /** The attempt that asked: a guest that knows tokens thaws for no other. */
  readonly token: AttemptId;
  readonly requestedAt: Timestamp;
  readonly ttlSeconds: number;
}

/** Recorded before a running VM is asked to stop, and kept until it has been seen running again: whatever becomes of the run. */
export interface Halt {
  /** Where the VM is found, also when it is not protected any more. */
  readonly source: VmSource;
  /** The attempt that stopped it. */
  readonly token: AttemptId;
  readonly requestedAt: Timestamp;
  /** Until then a request to stop, of whose answer nobody heard, may still arrive. Absent: the stop has come to its end. */
  readonly doubtUntil?: Timestamp;
  /** The disks' instant is fixed: it is started, whatever state the run is in. Before, only once the attempt has ended. */
  readonly released?: true;
  readonly startAskedAt?: Timestamp;
  /** Of a start that is under way; the source alone reads it. */
  readonly operation?: string;
  /** Starts in a row that did not work out; decides the next delay. */
  readonly failedStarts: number;
  /** Not before this instant is there anything to do. */
  readonly lookAt: Timestamp;
}

/** Of an attempt that has let its VM go, and waits for its snapshots or has them. */
export interface Rested {
  readonly source: VmSource;
  /** Whether the VM lay still until the disks' instant was fixed. */
  readonly atRest: boolean;
  readonly downtime: Downtime;
}

/** What the platform is at work on, and what the attempt found before it asked for it. */
export interface PendingSnapshots {
  /** The VM is being stopped, and its snapshots are not asked for yet. */
  readonly stage?: "stopping";
  /** What the source wrote down to find the operation again; it alone reads it. No SAS. */
  readonly operation: string;
  /** Not before this instant is there anything to see. */
  readonly lookAt: Timestamp;
  readonly powerState: PowerState;
  readonly configuration: ObjectId;
  readonly sessionStartedAt: Timestamp;
  readonly parentPointId?: PointId;
}

interface BackupFacts extends RunFacts {
  readonly kind: "backup";
  readonly trigger: BackupTrigger;
  readonly policy: PolicyName;
  readonly wanted: ConsistencyLevel;
  readonly least: ConsistencyLevel;
  /** No attempt is begun after this instant. */
  readonly retryUntil: Timestamp;
  readonly attempt: number;
  /** How often its VM was asked to stop. */
  readonly stops?: number;
  readonly startedAt?: Timestamp;
}

export type BackupRun = BackupFacts &
  (
    | {
        readonly state: "queued";
        readonly notBefore: Timestamp;
        readonly waiting?: Waiting;
        /** Of an attempt before, whose guest may not have been thawed. */
        readonly freeze?: Freeze;
        readonly halt?: Halt;
      }
    | {
        readonly state: "snapshotting";
        /** Until then another delivery of the same message leaves the attempt to its owner. */
        readonly leaseUntil: Timestamp;
        readonly attemptId: AttemptId;
        /** What it had waited for before this attempt, so that a death in the attempt does not forget the tries. */
        readonly waited?: Waiting;
        readonly freeze?: Freeze;
        readonly halt?: Halt;
        readonly rested?: Rested;
        /** Only while the platform is at work: no function waits with it. */
        readonly pending?: PendingSnapshots;
      }
    | {
        readonly state: "copying";
        readonly set: SnapshotSet;
        /** Still here: the guest did not answer when it was to be thawed. */
        readonly freeze?: Freeze;
        readonly halt?: Halt;
        readonly progress?: WindowProgress;
        readonly disks: readonly DiskProgress[];
      }
    | {
        readonly state: "committing";
        readonly set: SnapshotSet;
        readonly disks: readonly DiskProgress[];
        readonly freeze?: Freeze;
        readonly halt?: Halt;
      }
    | {
        readonly state: "succeeded";
        readonly finishedAt: Timestamp;
        readonly set: SnapshotSet;
        readonly restorePointId: PointId;
        readonly disks: readonly DiskProgress[];
        readonly freeze?: Freeze;
        readonly halt?: Halt;
        /** The end is recorded before its traces are removed; the reconciler goes on where a death left some. */
        readonly cleanUp: "pending" | "done";
      }
    | {
        readonly state: "failed" | "cancelled";
        readonly finishedAt: Timestamp;
        readonly error: ErrorRecord;
        readonly set?: SnapshotSet;
        readonly disks: readonly DiskProgress[];
        readonly freeze?: Freeze;
        readonly halt?: Halt;
        readonly cleanUp: "pending" | "done";
      }
  );

export type RestoreTarget =
  | {
      readonly kind: "container";
      /** The container's URL without a SAS. */
      readonly url: string;
      /** What stands there may be replaced: it is kept until the restore has succeeded, and put back where it has not. */
      readonly overwrite?: true;
    }
  /** The VM's own disks, in place. */
  | { readonly kind: "revert" }
  | MachineTargetSpec;

/** Whether the platform makes the disks, and not we. */
export function isMachineTarget(target: RestoreTarget): target is MachineTargetSpec {
  return target.kind !== "container" && target.kind !== "revert";
}

/** Whether the run has its VM to itself: what it does to the VM's disks is no time for a backup. */
export function ownsVm(target: RestoreTarget): boolean {
  return target.kind === "revert" || target.kind === "swap-disks";
}

export interface RestoreDisk {
  readonly name: DiskName;
  readonly sizeBytes: number;
  /** The page blob that is written, without a SAS. Of a restore to the platform, the ARM id of the disk that is made. */
  readonly url: string;
  readonly restoredBytes: number;
  /** The restore point that this disk is of; the run's where it is absent. */
  readonly pointId?: PointId;
  /** Revert: bytes that differed, and so were written or cleared. */
  readonly writtenBytes?: number;
  /** Overwrite: where the disk that stood here is kept until the run has ended. */
  readonly kept?: string;
  /** Restores to the platform: what a disk is to its VM. */
  readonly drive?: MachineDrive;
}

export interface MachineDrive {
  readonly role: DiskRole;
  readonly lun?: number;
  readonly logicalSectorSize: number;
}

/** What a disk held just before it was reverted. It stays until a person removes it. */
export interface SafetySnapshot {
  readonly disk: DiskName;
  /** As a person finds it: the disk's URL and the snapshot's id. */
  readonly snapshot: string;
  /** As the source finds it. Never a SAS. */
  readonly reference: Readonly<Record<string, string>>;
  /** The command that puts the disk back to it. */
  readonly wayBack: string;
}

/** Of a restore to the platform: what its steps need besides the vault, and its clean-up also where the vault has lost the rest. */
export interface MachineFacts {
  readonly snapshotAt: Timestamp;
  readonly osType?: "linux" | "windows";
  /** As the VM was protected when it was asked for. */
  readonly resourceId?: VmResourceId;
  /** What will not be, or is not, as it was: sentences for people. */
  readonly notes: readonly string[];
  /** Of a run that did not succeed, what it had made: its clean-up takes it back. */
  readonly made: readonly MadeResource[];
}

/**
 * The platform at work for a restore. One delivery looks at a time: it holds the lease, and another one leaves it to that. No function waits.
 */
export interface PendingPlatform {
  /** What the target wrote down to find the operation again; it alone reads it. No SAS. Absent before the first answer. */
  readonly operation?: string;
  /** Not before this instant is there anything to see. */
  readonly lookAt: Timestamp;
  /** Over where nobody looks now. */
  readonly leaseUntil: Timestamp;
}

interface RestoreFacts extends RunFacts {
  readonly kind: "restore";
  readonly pointId: PointId;
  readonly target: RestoreTarget;
  readonly disks: readonly RestoreDisk[];
  readonly startedAt?: Timestamp;
  /** Revert, from its first write on: one for each disk of the run, in their order. */
  readonly safety?: readonly SafetySnapshot[];
  readonly machine?: MachineFacts;
}

export type RestoreRun = RestoreFacts &
  (
    | { readonly state: "queued" }
    | { readonly state: "preparing"; readonly pending?: PendingPlatform }
    | { readonly state: "copying"; readonly progress: WindowProgress }
    | { readonly state: "finishing"; readonly progress: WindowProgress; readonly pending?: PendingPlatform }
    | { readonly state: "succeeded"; readonly finishedAt: Timestamp; readonly cleanUp: "pending" | "done" }
    | {
        readonly state: "failed" | "cancelled";
        readonly finishedAt: Timestamp;
        readonly error: ErrorRecord;
        readonly cleanUp: "pending" | "done";
        /** The platform takes its time to take back what was made: not before this instant is there anything to see. */
        readonly cleanUpAt?: Timestamp;
      }
  );

export type Run = BackupRun | RestoreRun;
export type RunState = Run["state"];

export const runStates = [
  "queued",
  "snapshotting",
  "preparing",
  "copying",
  "committing",
  "finishing",
  "succeeded",
  "failed",
  "cancelled",
] as const satisfies readonly RunState[];

/** Whether nothing will happen to the run any more but the removal of its traces. */
export function hasEnded(run: Run): boolean {
  return run.state === "succeeded" || run.state === "failed" || run.state === "cancelled";
}

/** One line of a run's history. `name` is one of the constants of run-events.ts. */
export interface RunEvent {
  readonly runId: RunId;
  readonly at: Timestamp;
  readonly name: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}
