/**
 * A phase of a restore as steps, one after the other, each of which looks at the resources and begins what is missing. So that a phase
 * may run twice, at once with another, or die anywhere: what it remembers between two calls (`operation`) saves looks, and carries the
 * reason of what fails at its end, but decides nothing.
 *
 * 1. A change that failed for a passing reason is begun anew, twice; any other failure ends the phase with the platform's reason.
 * 2. A step that has not ended within two hours is given up. The platform's own operations end sooner.
 */
import { z } from "zod";
import { FarsideError } from "../../../../core/errors.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { begunChange, ChangeFailed, isUnderWay, type BegunChange } from "./begun-change.ts";

export type Phase = "prepare" | "finish";

export interface Step {
  /** Completes "The platform has not finished to …". */
  readonly doing: string;
  /** `waiting` without a change: somebody else's is under way, and the resource shows it. */
  readonly run: (signal: AbortSignal) => Promise<StepResult>;
}

export type StepResult =
  | { readonly kind: "done" }
  | { readonly kind: "waiting"; readonly begun: readonly BegunChange[] };

export const done: StepResult = { kind: "done" };

export function waitingFor(...begun: readonly (BegunChange | undefined)[]): StepResult {
  return { kind: "waiting", begun: begun.filter((one) => one !== undefined) };
}

export interface Walk {
  readonly arm: ArmConnection;
  readonly phase: Phase;
  readonly operation: string | undefined;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly lookAgainMs: number;
}

export type Walked =
  | { readonly kind: "done" }
  | { readonly kind: "waiting"; readonly operation: string; readonly retryAfterMs: number };

const walkState = z.object({
  phase: z.enum(["prepare", "finish"]),
  step: z.int().min(0),
  /** When the step began: milliseconds since 1970, by this process's clock. */
  since: z.number(),
  begun: z.array(begunChange),
  failures: z.int().min(0),
});
type WalkState = z.output<typeof walkState>;

const stepLimitMs = 2 * 3_600_000;
const longestLookMs = 2 * 60_000;
const mostFailures = 2;

export async function walk(steps: readonly Step[], walking: Walk, signal: AbortSignal): Promise<Walked> {
  const { arm, now } = walking;
  let state = startOf(walking);
  for (let step = steps[state.step]; step !== undefined; step = steps[state.step]) {
    const { running, failures } = await look(arm, state, signal);
    const result = running.length > 0 ? waitingFor(...running) : await step.run(signal);
    if (result.kind === "waiting") return later({ ...state, failures, begun: [...result.begun] }, step, walking);
    state = { ...state, step: state.step + 1, since: now(), begun: [], failures: 0 };
  }
  return { kind: "done" };
}

async function look(arm: ArmConnection, { begun, failures }: WalkState, signal: AbortSignal) {
  const running: BegunChange[] = [];
  let failed = failures;
  for (const change of begun) {
    try {
      if (await isUnderWay(arm, change, signal)) running.push(change);
    } catch (error) {
      if (!(error instanceof ChangeFailed) || !error.isTransient || failed >= mostFailures) throw error;
      failed++;
    }
  }
  return { running, failures: failed };
}

function startOf({ operation, phase, now }: Walk): WalkState {
  const fresh = { phase, step: 0, since: now(), begun: [], failures: 0 };
  if (operation === undefined) return fresh;
  const parsed = walkState.safeParse(parseJson(operation));
  if (parsed.success) return parsed.data.phase === phase ? parsed.data : fresh;
  throw new FarsideError("internal", "The run's row holds an operation of the platform that cannot be read.");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Looked at the less often the longer it takes. */
function later(state: WalkState, step: Step, { now, lookAgainMs }: Walk): Walked {
  const elapsedMs = now() - state.since;
  if (elapsedMs > stepLimitMs) {
    throw new FarsideError(
      "deadline-passed",
      `The platform has not finished to ${step.doing} in ${Math.round(elapsedMs / 60_000)} minutes: it is given up.`,
    );
  }
  const retryAfterMs = Math.round(Math.min(Math.max(lookAgainMs, elapsedMs / 4), longestLookMs));
  return { kind: "waiting", operation: JSON.stringify(state), retryAfterMs };
}
