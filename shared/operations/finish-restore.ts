/**
 * Queue step: makes disks of the restored targets, once all windows are written. A target that is not finished is no disk: a restore
 * that stops anywhere leaves nothing that could be taken for one.
 */
import type { RunId } from "../core/ids.ts";
import type { RestoreIn } from "../core/run-transitions.ts";
import { finishingRestore, succeedRestore } from "../core/run-transitions.ts";
import type { Run } from "../core/run.ts";
import type { Context } from "./context.ts";
import { restoreResultPrefix } from "./restore/work-paths.ts";
import { changeRun } from "./run/change-run.ts";
import { tryCleanUp } from "./run/clean-up-run.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import type { StepOutcome } from "./step-outcome.ts";
import { listWorkBlobs } from "./vault/work-blobs.ts";

type Finishing = RestoreIn<"copying" | "finishing">;

export async function finishRestore(
  context: Context,
  input: { readonly runId: RunId },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId } = input;
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run === undefined || !isFinishing(run)) return { kind: "late", reason: `the run is ${run?.state ?? "unknown"}` };
  if (run.state === "copying" && run.cancelRequestedAt !== undefined) {
    return endRun(context, runId, cancelledByRequest, (now) => now.state === "copying", signal);
  }
  return endingOnFinalErrors(context, runId, isFinishing, signal, () => finish(context, run, signal));
}

async function finish(context: Context, run: Finishing, signal: AbortSignal): Promise<StepOutcome> {
  const { runId } = run;
  if (run.state === "copying") {
    const vault = await context.vault(signal);
    let windowsDone = 0;
    for await (const _ of listWorkBlobs(vault, runId, restoreResultPrefix, signal)) windowsDone++;
    if (windowsDone < run.progress.windows) {
      return { kind: "late", reason: `${run.progress.windows - windowsDone} windows are missing` };
    }
    const changed = await changeRun(
      context,
      runId,
      (now) => (now.kind === "restore" && now.state === "copying" ? finishingRestore(now) : undefined),
      signal,
    );
    if (changed.kind === "refused" && changed.run?.state !== "finishing")
      return { kind: "late", reason: "the run has ended" };
  }
  for (const disk of run.disks) await context.target.finish(disk, runId, signal);
  const ended = await changeRun(
    context,
    runId,
    (now) =>
      now.kind === "restore" && now.state === "finishing" ? succeedRestore(now, context.clock.now()) : undefined,
    signal,
  );
  if (ended.kind === "refused") return { kind: "late", reason: "another delivery was faster" };
  await tryCleanUp(context, ended.stored.value, signal);
  return { kind: "ended", state: "succeeded" };
}

function isFinishing(run: Run): run is Finishing {
  return run.kind === "restore" && (run.state === "copying" || run.state === "finishing");
}
