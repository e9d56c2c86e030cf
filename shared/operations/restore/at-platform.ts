/**
 * One look at what the platform makes for a restore, in its own time: the function ends, the row keeps what is needed to look again, and
 * a delayed message comes back for it (docs/azure.md, "Waiting").
 *
 * 1. The claim decides: of two deliveries at once one looks. The other one comes again when the claim's lease is over.
 * 2. Whoever looks changes the row only while its own claim stands: who comes back late changes nothing.
 * 3. A platform that asks to slow down puts off this run alone, and no delivery is spent on it.
 * 4. A message lost is sent again by the reconciler. A death while it looks loses nothing: looking may be done twice.
 */
import { FarsideError, errorRecord, hasCode } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import { runEvents } from "../../core/run-events.ts";
import type { AtPlatform } from "../../core/run-transitions.ts";
import { claimLook, endLook, isLookedAt, leaseMs } from "../../core/run-transitions.ts";
import type { Run } from "../../core/run.ts";
import type { Task } from "../../core/task.ts";
import { addMs, epochMs, timestamp } from "../../core/timestamp.ts";
import type { MachineProgress } from "../../ports/machine-target.ts";
import { longestDelayMs } from "../../ports/task-queue.ts";
import type { Context } from "../context.ts";
import { changeRun } from "../run/change-run.ts";
import { cancelledByRequest, endRun } from "../run/end-run.ts";
import { askedDelayMs } from "../run/postpone.ts";
import { recordEvent } from "../run/record-event.ts";
import type { StepOutcome } from "../step-outcome.ts";

type State = AtPlatform["state"];

/** What a look came to: the step's outcome, or another look later. */
export type Looked =
  | { readonly kind: "over"; readonly outcome: StepOutcome }
  | Extract<MachineProgress, { readonly kind: "waiting" }>;

/** Instances of the app, and the queue, may differ by so much: a message that comes this early is the one that is due. */
const earlyMs = 5000;

/** `look`: with the row as it was claimed. It ends the state itself, where the platform is done. */
export async function atPlatform(
  context: Context,
  at: { readonly runId: RunId; readonly state: State },
  look: (run: AtPlatform) => Promise<Looked>,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId, state } = at;
  const claim = (run: Run): AtPlatform | undefined =>
    isAt(run, state) && mayLook(context, run) ? claimLook(run, context.clock.now(), leaseOf(context)) : undefined;
  const claimed = await changeRun(context, runId, claim, signal);
  if (claimed.kind === "refused") return notNow(context, claimed.run, state, signal);
  const { value: run } = claimed.stored;
  let looked: Looked;
  try {
    looked = await look(run);
  } catch (error) {
    return afterError(context, run, error, signal);
  }
  return looked.kind === "over" ? looked.outcome : lookLater(context, run, looked, signal);
}

/** Whether the run is still in the state that `claimed` looks for, and nobody has taken its place. */
export function isMine(run: Run, claimed: AtPlatform): run is AtPlatform {
  return isAt(run, claimed.state) && run.pending?.leaseUntil === claimed.pending?.leaseUntil;
}

function isAt(run: Run, state: State): run is AtPlatform {
  return run.kind === "restore" && run.state === state;
}

const leaseOf = ({ limits }: Context): number => leaseMs(limits.stepBudgetMs);

function isFree({ clock, limits }: Context, run: AtPlatform): boolean {
  return !isLookedAt(run, clock.now(), limits.stepBudgetMs);
}

function mayLook(context: Context, run: AtPlatform): boolean {
  return isFree(context, run) && run.cancelRequestedAt === undefined && isDue(context, run);
}

/** An instant further ahead than anything is put off was written by a clock that was ahead. */
function isDue({ clock }: Context, { pending }: AtPlatform): boolean {
  const aheadMs = pending === undefined ? 0 : epochMs(pending.lookAt) - clock.now();
  return aheadMs <= earlyMs || aheadMs > longestDelayMs;
}

async function notNow(context: Context, run: Run | undefined, state: State, signal: AbortSignal): Promise<StepOutcome> {
  if (run === undefined || !isAt(run, state)) return late(`the run is ${run?.state ?? "unknown"}`);
  if (!isFree(context, run)) {
    const leaseUntil = run.pending?.leaseUntil ?? timestamp(context.clock.now());
    await context.tasks.send(taskOf(run), epochMs(leaseUntil) - context.clock.now() + 1000, signal);
    return late("another delivery looks at it");
  }
  if (run.cancelRequestedAt !== undefined) {
    const mine = (now: Run): boolean => isAt(now, state) && isFree(context, now);
    return endRun(context, run.runId, cancelledByRequest, mine, signal);
  }
  // Sent twice: the message that is due comes by itself, and where it is lost, the reconciler sends another.
  return late("the platform is still at work");
}

async function lookLater(
  context: Context,
  claimed: AtPlatform,
  { operation, retryAfterMs }: Extract<Looked, { kind: "waiting" }>,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const delayMs = Math.min(Math.max(retryAfterMs, 0), longestDelayMs);
  if (!(await letGo(context, claimed, { operation, delayMs }, signal))) return late("the run has changed meanwhile");
  const { runId, state, pending } = claimed;
  if (pending?.operation === undefined) {
    const message = `The platform ${state === "preparing" ? "makes the disks" : "finishes what was restored"}; the run comes back for it.`;
    await recordEvent(context, { runId, name: runEvents.platformBegun, message, fields: { state } }, signal);
  }
  await context.tasks.send(taskOf(claimed), delayMs, signal);
  return { kind: "waiting", condition: "platform-at-work" };
}

async function afterError(
  context: Context,
  claimed: AtPlatform,
  error: unknown,
  signal: AbortSignal,
): Promise<StepOutcome> {
  if (isFinal(error)) {
    const mine = (now: Run): boolean => isMine(now, claimed);
    return endRun(context, claimed.runId, { state: "failed", error: errorRecord(error) }, mine, signal);
  }
  const delayMs = askedDelayMs(error);
  if (delayMs === undefined) {
    // The queue delivers the message again, and that one is to find nobody in its way. Where this fails, the lease ends by itself.
    await letGo(context, claimed, {}, signal).catch((left: unknown) =>
      context.log.log("warning", "look-not-ended", { runId: claimed.runId, error: String(left) }),
    );
    throw error;
  }
  if (!(await letGo(context, claimed, { delayMs }, signal))) return late("the run has changed meanwhile");
  await context.tasks.send(taskOf(claimed), delayMs, signal);
  return { kind: "continued" };
}

/** An operation that did not end in its time is not begun anew, as a snapshot is: what it was to make stands under its name. */
function isFinal(error: unknown): boolean {
  return error instanceof FarsideError && (error.advice !== "retry" || hasCode(error, "deadline-passed"));
}

async function letGo(
  context: Context,
  claimed: AtPlatform,
  next: { readonly operation?: string; readonly delayMs?: number },
  signal: AbortSignal,
): Promise<boolean> {
  const { operation, delayMs } = next;
  const end = (run: Run): AtPlatform | undefined => {
    if (!isMine(run, claimed)) return undefined;
    const now = context.clock.now();
    const lookAt = delayMs === undefined ? {} : { lookAt: addMs(timestamp(now), delayMs) };
    return endLook(run, { ...lookAt, ...(operation === undefined ? {} : { operation }) }, now);
  };
  return (await changeRun(context, claimed.runId, end, signal)).kind === "changed";
}

function taskOf({ runId, state }: AtPlatform): Task {
  return { kind: state === "preparing" ? "start-restore" : "finish-restore", runId };
}

function late(reason: string): StepOutcome {
  return { kind: "late", reason };
}
