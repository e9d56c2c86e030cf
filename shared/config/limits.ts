/** The limits of a step, from settings with defaults. */
import type { Environment, Problems } from "./problems.ts";
import { settingOf } from "./problems.ts";

export interface Limits {
  readonly windowBytes: number;
  readonly stepBudgetMs: number;
  readonly windowsAhead: number;
  readonly chunksAtOnce: number;
  readonly sampleChunks: number;
}

/** What a step may take to end after its budget: it stops at the next chunk, writes its result and sends a message. */
const endOfStepMs = 60_000;

/** The time limit of a function where host.json names none: the shortest default of any hosting plan. */
const shortestDefaultTimeoutMs = 5 * 60_000;

const mebibyte = 1024 * 1024;

export function readLimits(environment: Environment, hostJson: string | undefined, problems: Problems): Limits {
  const integer = (setting: string, defaultValue: number, least: number, most: number): number => {
    const text = settingOf(environment, setting);
    if (text === undefined) return defaultValue;
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    problems.add(setting, `is ${JSON.stringify(text)}: give a whole number from ${least} to ${most}.`);
    return defaultValue;
  };
  const limits: Limits = {
    windowBytes: integer("FARSIDE_WINDOW_BYTES", 1024 * mebibyte, mebibyte, 64 * 1024 * mebibyte),
    stepBudgetMs: integer("FARSIDE_STEP_BUDGET_SECONDS", 240, 1, 86_400) * 1000,
    windowsAhead: integer("FARSIDE_WINDOWS_AHEAD", 8, 1, 1000),
    // Measured by bench/figures/memory.ts: with 8, the peak of a worker with four windows at once came above 300 MiB.
    chunksAtOnce: integer("FARSIDE_CHUNKS_AT_ONCE", 6, 1, 64),
    sampleChunks: integer("FARSIDE_SAMPLE_CHUNKS", 4, 0, 1000),
  };
  checkAgainstTimeout(environment, hostJson, limits, problems);
  return limits;
}

/** A function that runs out of its time takes its neighbours in the same process with it: no step may come near. */
function checkAgainstTimeout(
  environment: Environment,
  hostJson: string | undefined,
  limits: Limits,
  problems: Problems,
): void {
  // The override that the Functions host itself reads comes before the file.
  const override = settingOf(environment, "AzureFunctionsJobHost__functionTimeout");
  const text = override ?? timeoutOf(hostJson);
  const timeoutMs = text === undefined ? shortestDefaultTimeoutMs : parseTimeoutMs(text);
  if (timeoutMs === undefined) {
    const where = override === undefined ? "functionTimeout of host.json" : "AzureFunctionsJobHost__functionTimeout";
    problems.add(where, `is ${JSON.stringify(text)}: give a time like "00:10:00", or "-1" for none.`);
    return;
  }
  if (limits.stepBudgetMs + endOfStepMs > timeoutMs) {
    const most = Math.max(1, (timeoutMs - endOfStepMs) / 1000);
    problems.add(
      "FARSIDE_STEP_BUDGET_SECONDS",
      `is ${limits.stepBudgetMs / 1000}, which is not a minute below the functionTimeout of ${timeoutMs / 1000} seconds in host.json: set it to ${most} or less, or raise functionTimeout.`,
    );
  }
}

function timeoutOf(hostJson: string | undefined): string | undefined {
  if (hostJson === undefined) return undefined;
  try {
    const parsed: unknown = JSON.parse(hostJson);
    if (typeof parsed !== "object" || parsed === null || !("functionTimeout" in parsed)) return undefined;
    return String(parsed.functionTimeout);
  } catch {
    return "unreadable host.json";
  }
}

/** "hh:mm:ss", "d.hh:mm:ss" or "-1" (no limit). */
function parseTimeoutMs(text: string): number | undefined {
  if (text === "-1") return Number.POSITIVE_INFINITY;
  const match = /^(?:(\d+)\.)?(\d{1,2}):(\d{2}):(\d{2})$/.exec(text);
  if (match === null) return undefined;
  const [days, hours, minutes, seconds] = match.slice(1).map((part) => Number(part ?? 0));
  return ((((days ?? 0) * 24 + (hours ?? 0)) * 60 + (minutes ?? 0)) * 60 + (seconds ?? 0)) * 1000;
}
