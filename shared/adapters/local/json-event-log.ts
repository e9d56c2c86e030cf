/** The log of the process as lines of JSON. What looks like a secret is taken out, though no field should ever hold one. */
import type { Clock } from "../../ports/clock.ts";
import type { EventLog } from "../../ports/event-log.ts";

const levels = ["debug", "info", "warning", "error"] as const;

export interface JsonEventLogOptions {
  readonly clock: Pick<Clock, "now">;
  readonly least?: (typeof levels)[number];
  /** Takes one line without its end. Default: standard error. */
  readonly write?: (line: string) => void;
}

export function jsonEventLog({ clock, least = "info", write = toStandardError }: JsonEventLogOptions): EventLog {
  return {
    log: (level, event, fields) => {
      if (levels.indexOf(level) < levels.indexOf(least)) return;
      const shown = Object.entries(fields).map(([name, value]) => [
        name,
        typeof value === "string" ? withoutSecrets(value) : value,
      ]);
      write(JSON.stringify({ time: new Date(clock.now()).toISOString(), level, event, ...Object.fromEntries(shown) }));
    },
  };
}

/** A text with the values of signatures, keys, tokens and passwords replaced by "***". */
export function withoutSecrets(text: string): string {
  return text
    .replaceAll(/\b(sig|code|x-functions-key)=[^&\s"']+/gi, "$1=***")
    .replaceAll(/\b(AccountKey|SharedAccessSignature|SharedAccessKey|Password)=[^;\s"']+/gi, "$1=***")
    .replaceAll(/\b(Bearer|Basic) [A-Za-z0-9._~+/=-]{8,}/gi, "$1 ***")
    .replaceAll(/\b(SharedKey(?:Lite)? \w+):[A-Za-z0-9+/=]+/g, "$1:***")
    .replaceAll(/(:\/\/[^\s/:@]+):[^\s/@]+@/g, "$1:***@");
}

function toStandardError(line: string): void {
  process.stderr.write(`${line}\n`);
}
