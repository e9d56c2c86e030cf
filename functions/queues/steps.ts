/**
 * The queue triggers: one function for each kind of task, and one for each poison queue.
 *
 * 1. A step that fails throws: the host makes the message visible again, and after five deliveries moves it to the poison
 *    queue. What a run fails of is data and no error; only what may go better next time is thrown.
 * 2. A poison handler ends the run. It throws only while the host would deliver its message again: a poison message that was
 *    delivered too often is skipped by the host for ever, and the reconciler ends such a run anyway.
 */
import type { StorageQueueHandler } from "@azure/functions";
import { poisonQueueOf } from "../../shared/config/function-names.ts";
import { errorRecord } from "../../shared/core/errors.ts";
import type { Task, TaskKind } from "../../shared/core/task.ts";
import { failPoisoned } from "../../shared/operations/fail-poisoned.ts";
import { runStep } from "../../shared/operations/run-step.ts";
import { parseTask } from "../../shared/wire/task.ts";
import type { App } from "../../shared/compose/app.ts";
import { withStepDeadline } from "../deadline.ts";

/** As host.json says. */
const maxDequeueCount = 5;

/** For every queue alike: a message says by itself which step it asks for. */
export function stepHandler(app: App): StorageQueueHandler {
  return async (message) => {
    const task = parseTask(message);
    const outcome = await withStepDeadline(app, (context, signal) => runStep(context, task, signal));
    (await app.context()).log.log("debug", "step-outcome", { ...fieldsOf(task), outcome: outcome.kind });
  };
}

export function poisonHandler(app: App, kind: TaskKind): StorageQueueHandler {
  return async (message, invocation) => {
    const delivery = Number(invocation.triggerMetadata?.["dequeueCount"] ?? 1);
    try {
      const task = parsedOrUndefined(message);
      if (task === undefined) {
        (await app.context()).log.log("error", "task-unreadable", { queue: poisonQueueOf(kind) });
        return;
      }
      await withStepDeadline(app, (context, signal) => failPoisoned(context, { task }, signal));
    } catch (error) {
      if (delivery < maxDequeueCount) throw error;
      // The configuration itself may be what is wrong: the runtime's own log always works.
      invocation.error(`poison-given-up queue=${poisonQueueOf(kind)} code=${errorRecord(error).code}`);
    }
  };
}

function parsedOrUndefined(message: unknown): Task | undefined {
  try {
    return parseTask(message);
  } catch {
    return undefined;
  }
}

function fieldsOf(task: Task): Readonly<Record<string, string | number>> {
  return {
    step: task.kind,
    runId: task.runId,
    ...("attemptId" in task ? { attemptId: task.attemptId } : {}),
    ...("window" in task ? { window: task.window } : {}),
  };
}
