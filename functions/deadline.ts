/** The time limits of an invocation. */
import type { App } from "../shared/compose/app.ts";
import { FarsideError } from "../shared/core/errors.ts";
import type { Context } from "../shared/operations/context.ts";

/** What a step may take beyond its own budget, to finish the chunk in hand and send its continuation. */
const graceMs = 30_000;
/** The load balancer in front of the app gives up after 230 s; a person long before. */
const httpDeadlineMs = 90_000;

/**
 * The signal of one invocation: aborted at its deadline, or when the process ends. The runtime itself never cancels a
 * Node function; it kills the process, and the neighbours with it.
 */
export async function withDeadline<T>(app: App, ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const deadline = new AbortController();
  const timer = setTimeout(() => {
    deadline.abort(
      new FarsideError(
        "deadline-passed",
        `It took longer than ${ms / 1000} seconds: it is tried again, or try it again.`,
      ),
    );
  }, ms);
  try {
    return await work(AbortSignal.any([app.stopping, deadline.signal]));
  } finally {
    clearTimeout(timer);
  }
}

export async function withStepDeadline<T>(
  app: App,
  work: (context: Context, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const context = await app.context();
  return withDeadline(app, context.limits.stepBudgetMs + graceMs, (signal) => work(context, signal));
}

export function withHttpDeadline<T>(app: App, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  return withDeadline(app, httpDeadlineMs, work);
}
