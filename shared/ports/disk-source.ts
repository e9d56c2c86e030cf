/**
 * Where disks come from: one implementation for each kind of source.
 *
 * 1. `snapshot` is all disks or nothing: where one fails, those already made are removed and `snapshot-failed` is thrown.
 * 2. A changed-page list is a hint until `probeDiff` said `exact` for the account, and is sampled even then.
 * 3. No call waits for the platform: what takes it longer than a few seconds is `waiting`, and is looked at again by `continueSnapshot`.
 *    An operation that does not end is given up with `deadline-passed`: nothing waits for ever.
 * 4. `read` never gives fewer bytes than asked for: a body cut short is `unavailable`.
 */
import type { Achieved } from "../core/achieved-consistency.ts";
import type { ConsistencyLevel } from "../core/consistency.ts";
import type { AttemptId, DiskName, RunId } from "../core/ids.ts";
import type { DiskSnapshot } from "../core/run.ts";
import type { PowerState, ProtectedVm } from "../core/vm.ts";
import type { TransientCondition } from "../core/preflight.ts";
import type { MachinePower } from "./machine-power.ts";

export interface SourceDisk {
  readonly name: DiskName;
  readonly lun?: number;
  readonly role: "os" | "data";
  readonly sizeBytes: number;
  readonly logicalSectorSize: number;
  readonly identity: string;
  /** It has firmware variables and a virtual TPM beside it: the OS disk of a trusted-launch VM. */
  readonly hasGuestState?: true;
}

/** A disk that the VM has and its settings, or a tag, leave out. */
export interface LeftDisk {
  readonly name: DiskName;
  readonly reason: string;
}

export interface VmInspection {
  readonly powerState: PowerState;
  /** Why it is not safe to back it up now; empty where it is. */
  readonly conditions: readonly TransientCondition[];
  readonly disks: readonly SourceDisk[];
  readonly leftDisks?: readonly LeftDisk[];
  /** Rules of the VM's settings that match no disk, as a person writes them. */
  readonly idleRules?: readonly string[];
  /** What is captured of the VM's configuration: JSON of integers, strings, booleans, arrays and objects. No secrets. */
  readonly configuration: Readonly<Record<string, unknown>>;
  /** What it would lose, or risk, by being stopped and started; sentences. */
  readonly stopCosts?: readonly string[];
}

export interface ByteRange {
  readonly offset: number;
  readonly length: number;
}

/** `zero`: cleared, reads as zeros, and need not be read. */
export interface ChangedRange extends ByteRange {
  readonly kind: "data" | "zero";
}

export interface OwnSnapshot {
  readonly runId: RunId;
  readonly attemptId: AttemptId;
  readonly disk: DiskName;
  readonly reference: Readonly<Record<string, string>>;
}

export interface SnapshotAttempt {
  readonly runId: RunId;
  readonly attemptId: AttemptId;
  /** What a source that `quiesces` is to try for. */
  readonly wanted: ConsistencyLevel;
  /** The VM was stopped for it. Asked twice, `snapshot` then gives the snapshots of the first time. */
  readonly isHalted?: true;
}

/** `operation`: what the source needs to find it again; kept in the run's row. */
export type SnapshotOutcome =
  | {
      readonly kind: "taken";
      readonly snapshots: readonly DiskSnapshot[];
      /** What the platform says that it achieved; only of a source that `quiesces`. */
      readonly consistency?: Achieved;
    }
  | {
      readonly kind: "waiting";
      readonly operation: string;
      readonly retryAfterMs: number;
      /** What the snapshots hold is fixed: what the disks do from now on is not in them. */
      readonly isFixed?: boolean;
    };

/** Firmware variables and virtual TPM, as the platform exports them. */
export type GuestState =
  | { readonly kind: "given"; readonly content: Uint8Array<ArrayBuffer> }
  /** `why` completes a sentence: "was not kept, for …". */
  | { readonly kind: "not-given"; readonly why: string };

export interface DiskSource {
  /** Absent: it cannot stop and start a VM. */
  readonly power?: MachinePower | undefined;
  /** Whether it brings a running VM's disks to rest by itself, so that no guest is asked to freeze. */
  readonly quiesces: boolean;
  /** Throws `not-found` for a disk that is gone, `bad-input` for one that is no disk. */
  inspect(vm: ProtectedVm, signal: AbortSignal): Promise<VmInspection>;
  snapshot(
    vm: ProtectedVm,
    disks: readonly SourceDisk[],
    attempt: SnapshotAttempt,
    signal: AbortSignal,
  ): Promise<SnapshotOutcome>;
  /** Looks at what `snapshot` has begun. May be called twice, at once. */
  continueSnapshot(
    vm: ProtectedVm,
    operation: string,
    attempt: SnapshotAttempt,
    signal: AbortSignal,
  ): Promise<SnapshotOutcome>;
  /** Every snapshot of this VM's disks that Farside made, of whatever run. A disk that is gone has none; the others are listed. */
  listSnapshots(vm: ProtectedVm, signal: AbortSignal): Promise<readonly OwnSnapshot[]>;
  /** Done as well where it is already gone. */
  removeSnapshot(reference: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
  /** Gives back what was taken to read it (a SAS), by whatever process; nothing where nothing was. It can be read again afterwards. */
  release(reference: Readonly<Record<string, string>>, signal: AbortSignal): Promise<void>;
  snapshotExists(reference: Readonly<Record<string, string>>, signal: AbortSignal): Promise<boolean>;
  /** The account whose diff `probeDiff` speaks of. */
  accountOf(reference: Readonly<Record<string, string>>): string;
  /** Write, snapshot, clear, write, diff: is the answer exactly right? Leaves nothing behind. */
  probeDiff(
    reference: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<{ diff: "exact" | "wrong"; note?: string }>;
  /** Ranges that may hold something other than zeros, in order, not overlapping, inside [fromByte, toByte). */
  allocatedRanges(
    reference: Readonly<Record<string, string>>,
    window: { fromByte: number; toByte: number },
    signal: AbortSignal,
  ): AsyncIterable<ByteRange>;
  /**
   * What changed since the parent's snapshot of the same disk, in order, not overlapping, inside [fromByte, toByte). Throws
   * `not-found` where the service says that there is nothing to compare with: a snapshot is gone, or the disk was overwritten since.
   */
  changedRanges(
    reference: Readonly<Record<string, string>>,
    parent: Readonly<Record<string, string>>,
    window: { fromByte: number; toByte: number },
    signal: AbortSignal,
  ): AsyncIterable<ChangedRange>;
  read(
    reference: Readonly<Record<string, string>>,
    offset: number,
    length: number,
    signal: AbortSignal,
  ): Promise<Uint8Array<ArrayBuffer>>;
  /**
   * Of a snapshot of a disk that `hasGuestState`: read whole, `guestStateLimitBytes` at most. Absent in sources whose disks have none.
   * What was taken to read it is given back by `release`.
   */
  guestState?(reference: Readonly<Record<string, string>>, signal: AbortSignal): Promise<GuestState>;
}

/** A few MiB at the platforms that we know: larger ones are no guest state. It is held in memory whole. */
export const guestStateLimitBytes = 64 * 1024 * 1024;
