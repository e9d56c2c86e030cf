/** .NET time spans as host.json writes them: `[d.]hh:mm:ss[.fraction]`. */
import { FarsideError } from "../../shared/core/errors.ts";

const pattern = /^(?:(\d{1,8})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2})(?:\.(\d{1,7}))?)?$/;

/**
 * Milliseconds of a time span.
 * @param where how to name the value in an error, such as `host.json: functionTimeout`.
 */
export function parseTimeSpan(text: string, where: string): number {
  const [, days = "0", hours = "", minutes = "", seconds = "0", fraction = "0"] = pattern.exec(text) ?? [];
  const ok = hours !== "" && Number(hours) < 24 && Number(minutes) < 60 && Number(seconds) < 60;
  if (!ok) {
    throw new FarsideError(
      "bad-configuration",
      `${where} is ${JSON.stringify(text)}, which is no time span: write it as "hh:mm:ss", such as "00:05:00".`,
    );
  }
  const wholeSeconds = ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds);
  return wholeSeconds * 1000 + Math.round(Number(`0.${fraction}`) * 1000);
}
