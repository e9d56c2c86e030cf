import { notBuilt } from "./not-built.ts";
import type { Task } from "../core/task.ts";
import type { StepOutcome } from "./step-outcome.ts";
import type { Context } from "./context.ts";

export async function failPoisoned(
  context: Context,
  input: { readonly task: Task },
  signal: AbortSignal,
): Promise<StepOutcome> {
  return notBuilt(context, input, signal);
}
