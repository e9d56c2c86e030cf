import { notBuilt } from "./not-built.ts";
import type { Context } from "./context.ts";

/** What one tick found to do; all zeros when everything stands as it should. */
export interface ReconcileOutcome {
  readonly runsSeen: number;
  /** Runs whose messages were sent again. */
  readonly runsDriven: number;
  readonly runsEnded: number;
  readonly runsCleaned: number;
  readonly pointsSealed: number;
  readonly rowsRebuilt: number;
  readonly orphansRemoved: number;
}

export async function reconcile(
  context: Context,
  input: Readonly<Record<string, never>>,
  signal: AbortSignal,
): Promise<ReconcileOutcome> {
  return notBuilt(context, input, signal);
}
