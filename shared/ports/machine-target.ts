/**
 * Where the platform makes disks of a restore point and, where it is asked to, a VM of them.
 *
 * 1. No call waits for the platform: what takes it longer than a few seconds is `waiting`, and the same call is made again with the
 *    operation that it gave. An operation that does not end is given up with `deadline-passed`.
 * 2. `preflight` makes nothing and refuses everything that can be known to fail: names, quota, sizes, permissions, what the platform cannot do.
 * 3. All that a run makes bears its run id, and is found by it. What bears another one, or none, is never changed or removed.
 * 4. A disk that is not finished cannot be attached, and is no disk.
 * 5. A write takes effect only in the unfinished disk of its own run: a late one throws `target-exists`, `not-found` or `refused` and changes nothing.
 * 6. `takeBack` leaves nothing of a run that failed. Of an exchange it puts the VM's former disks back, and starts a VM that it had stopped.
 * 7. All of them may run twice, at once, or die anywhere.
 */
import type { DiskName, PointId, RunId, VmName } from "../core/ids.ts";
import type { MachineTargetSpec, MadeResource } from "../core/machine-restore.ts";
import type { VmResourceId } from "../core/resource-id.ts";
import type { Timestamp } from "../core/timestamp.ts";
import type { DiskRole } from "../core/vault/manifest.ts";

export interface MachineDisk {
  readonly name: DiskName;
  readonly role: DiskRole;
  readonly lun?: number;
  readonly sizeBytes: number;
  readonly logicalSectorSize: number;
  /** Where it stands, as `preflight` said; absent before. */
  readonly url?: string;
  /** The virtual TPM and firmware state of a trusted-launch VM, which goes with its OS disk: a small image, read whole. */
  readonly guestState?: {
    readonly sizeBytes: number;
    readonly read: (signal: AbortSignal) => Promise<Uint8Array>;
  };
}

/** One restore as a step knows it: of the run's row, the manifest and the vault. */
export interface MachineRestore {
  readonly runId: RunId;
  readonly vm: VmName;
  readonly pointId: PointId;
  readonly snapshotAt: Timestamp;
  readonly target: MachineTargetSpec;
  readonly disks: readonly MachineDisk[];
  /** As it was captured; of another kind of source, what that captured. Checked by whoever reads it. */
  readonly configuration: Readonly<Record<string, unknown>>;
  readonly osType?: "linux" | "windows";
  /** Of the VM that stands; only where it is protected now. An exchange needs it. */
  readonly resourceId?: VmResourceId;
}

export interface PlannedMachine {
  /** ARM ids of the disks that will be made, in the order of `disks`. */
  readonly disks: readonly string[];
  /** What will not be as it was, in sentences: an address that cannot be kept, an extension that is not made again. */
  readonly notes: readonly string[];
}

export type MachineProgress =
  /** `made`: everything that this call's phase is answerable for, in the order of its making. */
  | { readonly kind: "done"; readonly made: readonly MadeResource[]; readonly notes: readonly string[] }
  /** `operation`: what the target needs to find it again; kept in the run's row. No SAS. */
  | { readonly kind: "waiting"; readonly operation: string; readonly retryAfterMs: number };

export type TakenBack =
  /** `left`: what it must not, or cannot, remove, each with its reason, in sentences. */
  | { readonly kind: "gone"; readonly left: readonly string[] }
  | { readonly kind: "waiting"; readonly retryAfterMs: number };

export interface MachineTarget {
  /** Throws `bad-input`, `target-exists`, `forbidden`, `not-supported`, `refused`, `in-use`, `not-found`, each naming what and what to do. */
  preflight(restore: MachineRestore, signal: AbortSignal): Promise<PlannedMachine>;
  /** Makes the disks, empty and ready to be written. `operation`: of the last `waiting`. */
  prepare(restore: MachineRestore, operation: string | undefined, signal: AbortSignal): Promise<MachineProgress>;
  /** `offset` and the length are multiples of 512, except at the end of a disk. */
  write(disk: MachineDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Makes disks of what was written; then the VM, or the exchange. Done as well where it was done before. */
  finish(restore: MachineRestore, operation: string | undefined, signal: AbortSignal): Promise<MachineProgress>;
  /** After the run has failed or was cancelled; asked again until it is gone. */
  takeBack(restore: MachineRestore, signal: AbortSignal): Promise<TakenBack>;
}
