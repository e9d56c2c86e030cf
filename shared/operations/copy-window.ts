import { notBuilt } from "./not-built.ts";
import type { AttemptId, RunId } from "../core/ids.ts";
import type { StepOutcome } from "./step-outcome.ts";
import type { Context } from "./context.ts";

export async function copyWindow(
  context: Context,
  input: { readonly runId: RunId; readonly attemptId: AttemptId; readonly window: number },
  signal: AbortSignal,
): Promise<StepOutcome> {
  return notBuilt(context, input, signal);
}
