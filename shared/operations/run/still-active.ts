import type { RunId } from "../../core/ids.ts";
import { isActive } from "../../core/run-transitions.ts";
import type { Context } from "../context.ts";

/**
 * Asked before each thing that only the run's clean-up would take away again: a step that stood still for long must not take the place of
 * a disk, or hold one, for a run that has ended. It could die before it has undone that, and the clean-up is over.
 */
export async function isStillActive(context: Context, runId: RunId, signal: AbortSignal): Promise<boolean> {
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  return run !== undefined && isActive(run);
}
