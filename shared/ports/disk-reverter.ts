/**
 * Writes into a VM's own disks, where they stand: one implementation for each kind of source.
 *
 * 1. `hold` shuts everybody else out until `letGo`: nobody can write to the disk or start a machine on it. Every write names the hold of
 *    its run, so that a late one, after `letGo`, throws `refused` and changes nothing.
 * 2. `keep` gives the snapshot that this run made first, however often it is called: the one from before its first write.
 * 3. What `keep` made is never taken for a backup's snapshot: nothing removes it but `dropKept`, or a person.
 */
import type { DiskName, RunId } from "../core/ids.ts";
import type { SafetySnapshot } from "../core/run.ts";

export interface HeldDisk {
  readonly name: DiskName;
  readonly sizeBytes: number;
  readonly url: string;
}

export interface DiskReverter {
  /** Whether somebody other than this run holds the disk, such as a machine that runs on it. Throws `not-found`, `bad-input`. */
  isInUse(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<boolean>;
  /** Throws `refused` where somebody else holds it. */
  hold(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<void>;
  keep(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<SafetySnapshot>;
  /** Removes what this run's `keep` made for the disk, but for `spared`. */
  dropKept(disk: HeldDisk, runId: RunId, spared: SafetySnapshot | undefined, signal: AbortSignal): Promise<void>;
  /** Offset and length are multiples of 512, but for the end of a disk whose size is none. */
  write(disk: HeldDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void>;
  /** From here on zeros; offset and length as above. */
  clear(disk: HeldDisk, runId: RunId, offset: number, length: number, signal: AbortSignal): Promise<void>;
  /** Done as well where this run does not hold it. */
  letGo(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<void>;
}
