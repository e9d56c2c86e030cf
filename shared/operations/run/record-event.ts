import type { RunId } from "../../core/ids.ts";
import type { RunEventName } from "../../core/run-events.ts";
import type { RunEvent } from "../../core/run.ts";
import { timestamp } from "../../core/timestamp.ts";
import type { Context } from "../context.ts";

export interface EventFacts {
  readonly runId: RunId;
  readonly name: RunEventName;
  readonly message: string;
  /** Where the row has the instant, that one: an event recorded again is then the same event. Else now. */
  readonly at?: RunEvent["at"];
  readonly level?: "info" | "warning" | "error";
  readonly fields?: RunEvent["fields"];
}

/** Adds to the run's history and to the log. History is for people: that it cannot be written stops no run. */
export async function recordEvent(context: Context, facts: EventFacts, signal: AbortSignal): Promise<void> {
  const { runId, name, message, level = "info", fields = {} } = facts;
  context.log.log(level, name, { runId, message, ...fields });
  const event = { runId, at: facts.at ?? timestamp(context.clock.now()), name, message, fields };
  try {
    await context.catalog.runEvents.insert(event, signal);
  } catch (error) {
    context.log.log("warning", "run-event-lost", { runId, name, error: String(error) });
  }
}
