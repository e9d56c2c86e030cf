import { FarsideError } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { Run, RunEvent } from "../../core/run.ts";
import type { Context } from "../context.ts";
import { listWhole } from "./list-whole.ts";

/** A run with its history. Throws `not-found`. */
export async function getRun(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<{ readonly run: Run; readonly events: readonly RunEvent[] }> {
  const stored = await context.catalog.runs.get(input.runId, signal);
  if (stored === undefined) {
    throw new FarsideError("not-found", `There is no run ${input.runId}: see "farside run list".`, {
      details: { runId: input.runId },
    });
  }
  const events = await listWhole(context.catalog.runEvents, { runId: input.runId }, signal);
  return { run: stored.value, events };
}
