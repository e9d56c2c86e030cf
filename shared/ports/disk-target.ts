/**
 * Where disks are restored to.
 *
 * 1. Nothing that exists is overwritten: `prepare` throws `target-exists` unless what stands there is this run's own unfinished work.
 * 2. Nothing half-written can be taken for a disk: `finish` writes what makes it one (a page blob's VHD footer, a file's name).
 * 3. What is never written reads as zeros. Content of zeros need not be written: what a run writes somewhere never changes.
 * 4. A write takes effect only in the unfinished work of its own run: a late one, after the work was discarded and another run
 *    has begun at the same place, or after the end, throws `target-exists` (or `not-found`) and changes nothing.
 */
import type { FarsideError } from "../core/errors.ts";
import type { DiskName, PointId, RunId, VmId } from "../core/ids.ts";

export interface TargetDisk {
  readonly name: DiskName;
  readonly sizeBytes: number;
  /** Where it goes, as `locate` gave it. */
  readonly url: string;
  /** What is restored: by it a person is told whose unfinished work stands there. */
  readonly origin?: DiskOrigin;
}

export interface DiskOrigin {
  readonly vaultId: string;
  readonly vmId: VmId;
  readonly pointId: PointId;
}

export interface DiskTarget {
  /** The URL that this disk will have. Throws `bad-input` for a container of an account that is not configured. */
  locate(containerUrl: string, disk: DiskName): string;
  /** Whether something stands there already that is not this run's own unfinished work. */
  isTaken(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<boolean>;
  /** This run's own unfinished work is left as it is: another delivery may have written into it already. */
  prepare(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void>;
  /** `offset` and the length are multiples of 512, except at the end of a disk. */
  write(disk: TargetDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Done as well where this run has finished it before. */
  finish(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void>;
  /** Removes this run's unfinished work, and nothing else. */
  discard(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void>;
}

/** What stands where a disk is to go: nothing, this run's own work, the disk that this run made of it, or what it must not touch. */
export type TargetStanding =
  | { readonly kind: "free" | "unfinished" | "finished" }
  /** `error` says what it is and what to do. */
  | { readonly kind: "taken"; readonly error: FarsideError };

/**
 * A target whose unfinished work another process goes on with: one that has the same run id, which is derived from what is restored.
 *
 * 5. What is below `reached` was written and is still there when the power fails. What is above it may be there or not, and reads as
 *    zeros where it is not written again.
 */
export interface ResumableTarget extends DiskTarget {
  standing(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<TargetStanding>;
  /** Bytes from the start that stand for good. After `prepare`. */
  reached(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<number>;
  /** All below `toByte` was written: makes it last, and then records that. One call at a time for a disk. */
  record(disk: TargetDisk, runId: RunId, toByte: number, signal: AbortSignal): Promise<void>;
  /** Lets go of everything that this object holds. Unfinished work stays for the same run. */
  leave(): Promise<void>;
}
