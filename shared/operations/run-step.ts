import type { Task } from "../core/task.ts";
import { commitRestorePoint } from "./commit-restore-point.ts";
import type { Context } from "./context.ts";
import { copyWindow } from "./copy-window.ts";
import { finishRestore } from "./finish-restore.ts";
import { restoreWindow } from "./restore-window.ts";
import { startBackup } from "./start-backup.ts";
import { startRestore } from "./start-restore.ts";
import type { StepOutcome } from "./step-outcome.ts";

/** The step that a message asks for: a message says by itself which one. */
export function runStep(context: Context, task: Task, signal: AbortSignal): Promise<StepOutcome> {
  switch (task.kind) {
    case "start-backup":
      return startBackup(context, task, signal);
    case "copy-window":
      return copyWindow(context, task, signal);
    case "commit-restore-point":
      return commitRestorePoint(context, task, signal);
    case "start-restore":
      return startRestore(context, task, signal);
    case "restore-window":
      return restoreWindow(context, task, signal);
    case "finish-restore":
      return finishRestore(context, task, signal);
    default:
      return task satisfies never;
  }
}
