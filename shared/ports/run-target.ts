/**
 * Where the service's runs restore to: a target that a run can take the place of what stands there, and that a failed run can be
 * taken back from.
 *
 * 1. `replace` keeps what stands there until `release`, and only then begins; at no time is it neither in its place nor kept.
 * 2. `takeBack` leaves nothing of this run, finished or not, and what was kept stands in its place again. Other runs' work, and what
 *    somebody has put there since, stays as it is.
 * 3. All of them may run twice, at once, or die anywhere.
 */
import type { RunId } from "../core/ids.ts";
import type { DiskTarget, TargetDisk } from "./disk-target.ts";

export interface RunTarget extends DiskTarget {
  /**
   * As `prepare`, where something may stand. Gives where that is kept, as a person finds it; undefined where nothing stood there. Throws
   * `target-exists` where what stands there is another run's unfinished work, and `refused` where it may not be replaced: it is in use, or
   * is no disk.
   */
  replace(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<string | undefined>;
  /** Throws what `finish` would, and changes nothing: so that no disk is finished before all can be. */
  check(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void>;
  /**
   * After the run has failed. Throws `in-use` where somebody uses the finished disk already, and `not-found` where what was kept is gone;
   * messages say where things are.
   */
  takeBack(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void>;
  /** After the run has succeeded: what it kept goes. */
  release(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void>;
}
