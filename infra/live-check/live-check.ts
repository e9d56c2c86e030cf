/** Asks the questions one after the other, and removes in the end what was made for them, however it ended. */
import type { Check, Finding } from "./check.ts";
import type { Stage } from "./stage.ts";

export interface LiveCheckOptions {
  readonly keep: boolean;
  readonly tell: (line: string) => void;
  /** What could not be removed is tried again after this long. */
  readonly againAfterMs?: number;
}

export interface LiveCheckResult {
  readonly findings: readonly Finding[];
  /** What was made and could not be removed, or was to be kept. */
  readonly left: readonly string[];
}

/** Removing is bounded by itself: it happens after an interrupt, too. */
const removalLimitMs = 30 * 60_000;

/** An aborted signal ends the questions, not the removal. */
export async function liveCheck(
  stage: Stage,
  checks: readonly Check[],
  { keep, tell, againAfterMs = 60_000 }: LiveCheckOptions,
  signal: AbortSignal,
): Promise<LiveCheckResult> {
  const findings: Finding[] = [];
  for (const check of checks) {
    if (signal.aborted) break;
    tell(`asking: ${check.question}`);
    findings.push(await askOne(check, stage, signal));
  }
  if (keep) return { findings, left: stage.made.names };
  return { findings, left: await stage.made.removeAll(AbortSignal.timeout(removalLimitMs), tell, againAfterMs) };
}

async function askOne(check: Check, stage: Stage, signal: AbortSignal): Promise<Finding> {
  const { name, question, assumed, relies } = check;
  const about = { check: name, question, assumed, relies: relies.file };
  try {
    return { ...about, ...(await check.ask(stage, signal)) };
  } catch (error) {
    // Errors of the SDK may quote a URL, and with it a SAS.
    const why = error instanceof Error ? error.message.replaceAll(/\?\S*/g, "").slice(0, 300) : "no reason";
    return { ...about, verdict: "could not be tried", found: signal.aborted ? "interrupted" : why };
  }
}
