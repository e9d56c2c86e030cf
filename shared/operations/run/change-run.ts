import { FarsideError } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { Run } from "../../core/run.ts";
import type { Stored } from "../../ports/catalog.ts";
import type { Context } from "../context.ts";

export type ChangedRun<Next extends Run> =
  | { readonly kind: "changed"; readonly stored: Stored<Next> }
  /** `decide` said no, to this row; undefined where there is none. */
  | { readonly kind: "refused"; readonly run: Run | undefined };

const maxRounds = 10;

/**
 * Changes a run's row by its ETag. Somebody else may change it too, without taking it away from us (a cancel request, a progress
 * count): `decide` is asked again with the newer row, and says `undefined` where the change must not be made any more.
 */
export async function changeRun<Next extends Run>(
  context: Context,
  runId: RunId,
  decide: (run: Run) => Next | undefined,
  signal: AbortSignal,
): Promise<ChangedRun<Next>> {
  for (let round = 0; round < maxRounds; round++) {
    const stored = await context.catalog.runs.get(runId, signal);
    if (stored === undefined) return { kind: "refused", run: undefined };
    const next = decide(stored.value);
    if (next === undefined) return { kind: "refused", run: stored.value };
    const changed = await context.catalog.runs.replace(stored, next, signal);
    if (changed !== "conflict") return { kind: "changed", stored: { value: next, etag: changed.etag } };
  }
  throw new FarsideError("conflict", `The row of run ${runId} changed ${maxRounds} times while it was written.`, {
    details: { runId },
  });
}
