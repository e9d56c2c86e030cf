import { notBuilt } from "./not-built.ts";
import type { RunId } from "../core/ids.ts";
import type { Run } from "../core/run.ts";
import type { Context } from "./context.ts";

export interface CancelOutcome {
  /** `requested`: its next step will end it; `cancelled`: it has ended now; `ended`: it had ended before. */
  readonly kind: "requested" | "cancelled" | "ended";
  readonly run: Run;
}

/** Throws `not-found` for an unknown run. */
export async function cancelRun(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<CancelOutcome> {
  return notBuilt(context, input, signal);
}
