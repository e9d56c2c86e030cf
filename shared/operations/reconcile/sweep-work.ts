import { isActive } from "../../core/run-transitions.ts";
import { ulidEpochMs } from "../../core/ulid.ts";
import { longestSessionMs, marginMs } from "../../core/vault/limits.ts";
import type { Context } from "../context.ts";
import type { ReconcileCounts } from "./counts.ts";
import { deleteWork, listWorkRuns } from "../vault/work-blobs.ts";

/**
 * Removes work blobs that no clean-up will: those a late step wrote after its run was cleaned, and those of runs that the catalog
 * has lost, once no session can be that old.
 */
export async function sweepWork(context: Context, counts: ReconcileCounts, signal: AbortSignal): Promise<void> {
  const vault = await context.vault(signal);
  for await (const runId of listWorkRuns(vault, signal)) {
    const run = (await context.catalog.runs.get(runId, signal))?.value;
    const ageMs = context.clock.now() - ulidEpochMs(runId);
    const orphaned = run === undefined ? ageMs > longestSessionMs + marginMs : !isActive(run) && run.cleanUp === "done";
    if (orphaned) counts.orphansRemoved += await deleteWork(vault, runId, signal);
  }
}
