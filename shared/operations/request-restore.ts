import { notBuilt } from "./not-built.ts";
import type { DiskName, PointId } from "../core/ids.ts";
import type { RestoreRun } from "../core/run.ts";
import type { Timestamp } from "../core/timestamp.ts";
import type { Context } from "./context.ts";

export type PointChoice =
  | { readonly kind: "latest" }
  | { readonly kind: "point"; readonly pointId: PointId }
  /** The newest restore point whose snapshots were taken at or before this instant. */
  | { readonly kind: "at"; readonly at: Timestamp };

export interface RestoreRequest {
  /** A VM's name or its id in the vault; the VM need not be protected any more. */
  readonly vm: string;
  readonly point: PointChoice;
  /** All disks where it is absent. */
  readonly disks?: readonly DiskName[];
  readonly targetUrl: string;
  /** Restore a point that is marked with the risk of USN rollback all the same. */
  readonly acceptUsnRollbackRisk?: boolean;
  /** The same key for the same request gives the same run. */
  readonly idempotencyKey?: string;
}

export interface RestoreRequested {
  readonly kind: "started" | "repeated";
  readonly run: RestoreRun;
}

/**
 * Throws `not-found` for an unknown VM, point or disk, `target-exists` for a taken target, `refused` for a point with the
 * risk of USN rollback that was not accepted. Nothing has been made then.
 */
export async function requestRestore(
  context: Context,
  input: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreRequested> {
  return notBuilt(context, input, signal);
}
