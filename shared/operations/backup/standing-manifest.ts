import type { RunId } from "../../core/ids.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import type { Context } from "../context.ts";
import { readManifest } from "../vault/list-restore-points.ts";

/** The manifest of a committing run, where it stands already: such a run has succeeded, and must not be ended in any other way. */
export async function standingManifest(
  context: Context,
  runId: RunId,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run?.state !== "committing") return undefined;
  const found = await readManifest(await context.vault(signal), run.vmId, run.set.pointId, signal);
  return found.kind === "standing" && found.manifest.attemptId === run.set.attemptId ? found.manifest : undefined;
}
