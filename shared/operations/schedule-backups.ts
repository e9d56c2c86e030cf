import { notBuilt } from "./not-built.ts";
import type { Context } from "./context.ts";

/** What one tick did; safe to run twice or at once. */
export interface ScheduleOutcome {
  /** Policies whose schedule had a slot since the last tick. */
  readonly policiesDue: number;
  readonly runsStarted: number;
  /** Runs of these slots that existed already (another tick was here); still queued ones were sent again. */
  readonly runsRepeated: number;
}

export async function scheduleBackups(
  context: Context,
  input: Readonly<Record<string, never>>,
  signal: AbortSignal,
): Promise<ScheduleOutcome> {
  return notBuilt(context, input, signal);
}
