/**
 * Messages: hints to look at a run. They carry ids only, never state, and may come twice, late or out of order.
 * No property may be called id, dequeueCount, popReceipt, queueTrigger, insertionTime, expirationTime or nextVisibleTime:
 * the Functions host would take it for its own.
 */
import type { AttemptId, RunId } from "./ids.ts";

export type Task =
  | { readonly kind: "start-backup"; readonly runId: RunId }
  /** `window` counts from 0 in the plan of the attempt. */
  | { readonly kind: "copy-window"; readonly runId: RunId; readonly attemptId: AttemptId; readonly window: number }
  | { readonly kind: "commit-restore-point"; readonly runId: RunId; readonly attemptId: AttemptId }
  | { readonly kind: "start-restore"; readonly runId: RunId }
  | { readonly kind: "restore-window"; readonly runId: RunId; readonly window: number }
  | { readonly kind: "finish-restore"; readonly runId: RunId };

export type TaskKind = Task["kind"];

export const taskKinds = [
  "start-backup",
  "copy-window",
  "commit-restore-point",
  "start-restore",
  "restore-window",
  "finish-restore",
] as const satisfies readonly TaskKind[];
