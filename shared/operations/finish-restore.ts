import { notBuilt } from "./not-built.ts";
import type { RunId } from "../core/ids.ts";
import type { StepOutcome } from "./step-outcome.ts";
import type { Context } from "./context.ts";

export async function finishRestore(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<StepOutcome> {
  return notBuilt(context, input, signal);
}
