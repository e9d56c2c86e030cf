/** Sends messages to the queue of their kind (its name is the kind). Delivery is at least once; see core/task.ts. */
import type { Task } from "../core/task.ts";

export const longestDelayMs = 7 * 24 * 3_600_000;

/** For implementations: another delay is a defect of the caller. */
export function checkDelay(delayMs: number): void {
  if (delayMs >= 0 && delayMs <= longestDelayMs) return;
  throw new RangeError(`A message is delayed by 0 to 7 days, not by ${delayMs} ms.`);
}

export interface TaskQueue {
  /** `delayMs`: how long the message stays hidden, from 0 up to seven days. */
  send(task: Task, delayMs: number, signal: AbortSignal): Promise<void>;
}
