import { notBuilt } from "./not-built.ts";
import type { AttemptId, RunId } from "../core/ids.ts";
import type { StepOutcome } from "./step-outcome.ts";
import type { Context } from "./context.ts";

export async function commitRestorePoint(
  context: Context,
  input: { readonly runId: RunId; readonly attemptId: AttemptId },
  signal: AbortSignal,
): Promise<StepOutcome> {
  return notBuilt(context, input, signal);
}
