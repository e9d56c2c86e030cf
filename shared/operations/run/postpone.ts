import { hasCode } from "../../core/errors.ts";
import type { Task } from "../../core/task.ts";
import { longestDelayMs } from "../../ports/task-queue.ts";
import type { Context } from "../context.ts";
import type { StepOutcome } from "../step-outcome.ts";

/** How long a service asked to be left alone, from a second to what a message can wait; undefined where it did not say. */
export function askedDelayMs(error: unknown): number | undefined {
  if (!hasCode(error, "throttled", "unavailable") || error.retryAfterMs === undefined) return undefined;
  return Math.min(Math.max(error.retryAfterMs, 1000), longestDelayMs);
}

/**
 * A service that says how long to wait gets that long, by a message of its own: the queue's own few, close deliveries would be spent
 * before. What a session may last bounds how often.
 */
export async function postponeIfThrottled(
  context: Context,
  task: Task,
  signal: AbortSignal,
  work: () => Promise<StepOutcome>,
): Promise<StepOutcome> {
  try {
    return await work();
  } catch (error) {
    const delayMs = askedDelayMs(error);
    if (delayMs === undefined) throw error;
    await context.tasks.send(task, delayMs, signal);
    return { kind: "continued" };
  }
}
