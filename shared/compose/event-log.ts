/** The app's log: JSON lines on the console. The Functions host gives what stands on standard error a level of its own. */
import { jsonEventLog } from "../adapters/local/json-event-log.ts";
import type { Clock } from "../ports/clock.ts";
import type { EventLog } from "../ports/event-log.ts";

export function consoleEventLog(clock: Clock): EventLog {
  const plain = jsonEventLog({ clock, write: (line) => console.log(line) });
  const loud = jsonEventLog({ clock, write: (line) => console.error(line) });
  return {
    log(level, event, fields) {
      const log = level === "warning" || level === "error" ? loud : plain;
      log.log(level, event, fields);
    },
  };
}
