import type { EventLog } from "../../ports/event-log.ts";

export class JsonEventLog implements EventLog {
  log(
    level: "debug" | "info" | "warning" | "error",
    event: string,
    fields: Readonly<Record<string, string | number | boolean>>,
  ): void {
    const line = JSON.stringify({ level, event, ...fields });
    if (level === "error") console.error(line);
    else if (level === "warning") console.warn(line);
    else if (level === "debug") console.debug(line);
    else console.info(line);
  }
}
