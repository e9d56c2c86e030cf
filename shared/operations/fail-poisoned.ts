/**
 * A message that was delivered five times in vain: its run fails, its guest is thawed, its snapshots are released.
 *
 * Never throws: a message that cannot be handled here would be handled by nobody. What could not be done is left to the
 * reconciler, which drives the run on until its messages are poisoned again or it ends.
 */
import type { ErrorRecord } from "../core/errors.ts";
import type { ActiveRun } from "../core/run-transitions.ts";
import type { Task } from "../core/task.ts";
import { isCopying } from "./backup/windows.ts";
import { standingManifest } from "./backup/standing-manifest.ts";
import type { Context } from "./context.ts";
import { endRun } from "./run/end-run.ts";
import { isOwned } from "./run/owned.ts";
import type { StepOutcome } from "./step-outcome.ts";

export async function failPoisoned(
  context: Context,
  input: { readonly task: Task },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { task } = input;
  try {
    context.log.log("error", "task-poisoned", { runId: task.runId, task: task.kind });
    if (task.kind === "commit-restore-point" && (await standingManifest(context, task.runId, signal)) !== undefined) {
      return { kind: "late", reason: "its restore point stands" };
    }
    const mine = (run: ActiveRun): boolean => concerns(task, run) && !isOwned(context, run);
    return await endRun(context, task.runId, { state: "failed", error: poisoned(task) }, mine, signal);
  } catch (error) {
    context.log.log("error", "poisoned-task-left", { runId: task.runId, task: task.kind, error: String(error) });
    return { kind: "late", reason: "left to the reconciler" };
  }
}

/** Whether the run still waits for what this message was to do. */
function concerns(task: Task, run: ActiveRun): boolean {
  switch (task.kind) {
    case "start-backup":
      // An attempt under way has an owner; when that one's lease is over, the reconciler takes it back, and thaws.
      return run.kind === "backup" && (run.state === "queued" || isUnplanned(run));
    case "copy-window":
      return isCopying(run, task.attemptId);
    case "commit-restore-point":
      return isCopying(run, task.attemptId) || (run.state === "committing" && run.set.attemptId === task.attemptId);
    case "start-restore":
      return run.kind === "restore" && (run.state === "queued" || run.state === "preparing");
    case "restore-window":
      return run.kind === "restore" && run.state === "copying";
    case "finish-restore":
      return run.kind === "restore" && (run.state === "copying" || run.state === "finishing");
    default:
      return task satisfies never;
  }
}

function isUnplanned(run: ActiveRun): boolean {
  return run.kind === "backup" && run.state === "copying" && run.progress === undefined;
}

function poisoned(task: Task): ErrorRecord {
  const which = "window" in task ? ` (window ${task.window})` : "";
  return {
    code: "poisoned",
    message: `The step ${task.kind}${which} failed at each of its deliveries; the log has the errors.`,
    details: { task: task.kind },
  };
}
