/**
 * Messages as they stand in a queue: JSON with a version. The Functions host hands a message over as text, or already
 * parsed where it is JSON; both are taken.
 */
import { z } from "zod";
import { FarsideError } from "../core/errors.ts";
import { quote } from "../core/ids.ts";
import type { Task, TaskKind } from "../core/task.ts";
import { attemptId, count, record, runId, variants } from "./catalog/schema.ts";

const taskVersion = 1;

type Message<Kind extends TaskKind> = Extract<Task, { kind: Kind }> & { readonly version: typeof taskVersion };

const version = z.literal(taskVersion);

const message = variants<Task & { readonly version: typeof taskVersion }>("kind", [
  record<Message<"start-backup">>({ version, kind: z.literal("start-backup"), runId }),
  record<Message<"copy-window">>({ version, kind: z.literal("copy-window"), runId, attemptId, window: count }),
  record<Message<"commit-restore-point">>({ version, kind: z.literal("commit-restore-point"), runId, attemptId }),
  record<Message<"start-restore">>({ version, kind: z.literal("start-restore"), runId }),
  record<Message<"restore-window">>({ version, kind: z.literal("restore-window"), runId, window: count }),
  record<Message<"finish-restore">>({ version, kind: z.literal("finish-restore"), runId }),
]);

export function encodeTask(task: Task): string {
  return JSON.stringify({ version: taskVersion, ...task });
}

/** Throws `bad-input` for what is not a message of this release; the queue's poison handling is where it ends. */
export function parseTask(content: unknown): Task {
  const value = typeof content === "string" ? parseJson(content) : content;
  const parsed = message.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new FarsideError(
      "bad-input",
      `A queue message is not a task of this release: ${issue?.path.join(".") || "message"}: ${issue?.message ?? "not valid"}. It was written by another release or by hand.`,
    );
  }
  const { version: _, ...task } = parsed.data;
  return task;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new FarsideError("bad-input", `A queue message is not JSON: ${quote(text)}.`, { cause });
  }
}
