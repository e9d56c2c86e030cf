import { runEvents } from "../../core/run-events.ts";
import type { Run } from "../../core/run.ts";
import type { Context } from "../context.ts";
import { recordEvent } from "../run/record-event.ts";

export async function recordResent(context: Context, run: Run, message: string, signal: AbortSignal): Promise<void> {
  const { runId, state } = run;
  const facts = { runId, name: runEvents.messagesResent, message, level: "warning", fields: { state } } as const;
  await recordEvent(context, facts, signal);
}
