import { notBuilt } from "./not-built.ts";
import type { VmName } from "../core/ids.ts";
import type { BackupRun } from "../core/run.ts";
import type { Context } from "./context.ts";

export interface BackupRequest {
  readonly vm: VmName;
  /** The same key for the same VM gives the same run. */
  readonly idempotencyKey?: string;
}

export interface BackupRequested {
  readonly kind: "started" | "repeated";
  readonly run: BackupRun;
}

/** Throws `not-found` for an unknown VM, `run-active` with `details.runId` while another run owns it. */
export async function requestBackup(
  context: Context,
  input: BackupRequest,
  signal: AbortSignal,
): Promise<BackupRequested> {
  return notBuilt(context, input, signal);
}
