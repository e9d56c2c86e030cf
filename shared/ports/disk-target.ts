/**
 * Where disks are restored to.
 *
 * 1. Nothing that exists is overwritten: `prepare` throws `target-exists` unless what stands there is this run's own unfinished work.
 * 2. Nothing half-written can be taken for a disk: `finish` writes what makes it one (a page blob's VHD footer, a file's name).
 * 3. What is never written reads as zeros. Content of zeros need not be written: what a run writes somewhere never changes.
 * 4. A write takes effect only in the unfinished work of its own run: a late one, after the work was discarded and another run
 *    has begun at the same place, or after the end, throws `target-exists` (or `not-found`) and changes nothing.
 */
import type { DiskName, RunId } from "../core/ids.ts";

export interface TargetDisk {
  readonly name: DiskName;
  readonly sizeBytes: number;
  /** Where it goes, as `locate` gave it. */
  readonly url: string;
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
