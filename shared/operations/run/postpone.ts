import { hasCode } from "../../core/errors.ts";
import type { Task } from "../../core/task.ts";
import { longestDelayMs } from "../../ports/task-queue.ts";
import type { Context } from "../context.ts";
import type { StepOutcome } from "../step-outcome.ts";

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
    if (!hasCode(error, "throttled", "unavailable") || error.retryAfterMs === undefined) throw error;
    const delayMs = Math.min(Math.max(error.retryAfterMs, 1000), longestDelayMs);
    await context.tasks.send(task, delayMs, signal);
    return { kind: "continued" };
  }
}
