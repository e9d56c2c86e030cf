import type { ActiveRun } from "../../core/run-transitions.ts";
import { isLookedAt } from "../../core/run-transitions.ts";
import type { Context } from "../context.ts";

/** Whether a delivery may be at work at the platform for this restore now: it must not be ended, or driven on, behind its back. */
export function isOwned({ clock, limits }: Context, run: ActiveRun): boolean {
  if (run.kind === "backup" || !("pending" in run)) return false;
  return isLookedAt(run, clock.now(), limits.stepBudgetMs);
}
