import type { Run } from "../../core/run.ts";
import { isActive } from "../../core/run-transitions.ts";
import type { Context } from "../context.ts";
import { leaveTargets } from "./targets.ts";

/** Ended and cleaned up meanwhile: what a late delivery, or one that failed, made after that clean-up, nobody else would take away. */
export async function leaveIfEnded(context: Context, before: Run, signal: AbortSignal): Promise<void> {
  const now = (await context.catalog.runs.get(before.runId, signal))?.value;
  if (now !== undefined && isActive(now)) return;
  const run = now ?? before;
  if (run.kind === "restore") await leaveTargets(context, run, signal);
}
