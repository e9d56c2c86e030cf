/** The guest around the snapshots: asked to freeze, asked whether it still is, and thawed whatever happened. */
import type { FreezeFacts } from "../../core/achieved-consistency.ts";
import { givesUpGuest } from "../../core/attempt-failure.ts";
import { runEvents } from "../../core/run-events.ts";
import type { BackupIn } from "../../core/run-transitions.ts";
import { withFreeze } from "../../core/run-transitions.ts";
import type { Freeze } from "../../core/run.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { timestamp } from "../../core/timestamp.ts";
import type { PowerState, ProtectedVm } from "../../core/vm.ts";
import { guestUrlOf } from "../../core/vm.ts";
import type { DiskSource } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { changeRun } from "../run/change-run.ts";
import { recordEvent } from "../run/record-event.ts";

export type FreezePlan =
  /** The platform does it, and says afterwards what it achieved. */
  | { readonly kind: "platform" }
  | { readonly kind: "freeze"; readonly guestUrl: string }
  | Extract<FreezeFacts, { kind: "none" }>;

export function planFreeze(
  run: BackupIn<"snapshotting">,
  vm: ProtectedVm,
  powerState: PowerState,
  source: Pick<DiskSource, "quiesces">,
): FreezePlan {
  if (powerState === "stopped") return { kind: "none", reason: "stopped" };
  if (run.wanted === "crash") return { kind: "none", reason: "not-wanted" };
  if (source.quiesces) {
    return givesUpGuest(run.waited, run.least) ? { kind: "none", reason: "given-up" } : { kind: "platform" };
  }
  const guestUrl = guestUrlOf(vm);
  if (guestUrl === undefined) return { kind: "none", reason: "no-guest" };
  if (givesUpGuest(run.waited, run.least)) return { kind: "none", reason: "given-up" };
  return { kind: "freeze", guestUrl };
}

export interface FrozenWork<T> {
  readonly result: T;
  readonly facts: FreezeFacts;
  readonly frozenAt: Timestamp;
  readonly thawedAt?: Timestamp;
  /** Where the guest could not be thawed: somebody has to go on trying. */
  readonly notThawed?: Freeze;
}

/**
 * Runs `work` while the guest is frozen. `lost`: the run's row is not this attempt's any more, and the guest was not asked. Throws what
 * the guest and `work` throw, after the thaw.
 */
export async function whileFrozen<T>(
  context: Context,
  run: BackupIn<"snapshotting">,
  guest: { readonly url: string; readonly ttlSeconds: number },
  work: () => Promise<T>,
  signal: AbortSignal,
): Promise<FrozenWork<T> | "lost"> {
  const { clock } = context;
  const token = run.attemptId;
  // An attempt before may have left it frozen, and only its token thaws it: noted over, nobody would.
  if (run.freeze !== undefined) await context.guest.thaw(run.freeze.guestUrl, run.freeze.token, signal);
  const freeze = { guestUrl: guest.url, token, requestedAt: timestamp(clock.now()), ttlSeconds: guest.ttlSeconds };
  const started = clock.monotonic();
  const noted = await changeRun(
    context,
    run.runId,
    (now) => (isSnapshotting(now, token) ? withFreeze(now, freeze) : undefined),
    signal,
  );
  if (noted.kind === "refused") return "lost";
  let thawedAt: Timestamp | undefined;
  const done = async (): Promise<Omit<FrozenWork<T>, "thawedAt" | "notThawed">> => {
    const { level } = await context.guest.freeze(guest.url, { ttlSeconds: guest.ttlSeconds, token }, signal);
    const frozenAt = timestamp(clock.now());
    const result = await work();
    const state = await context.guest.state(guest.url, signal);
    const facts: FreezeFacts = {
      kind: "frozen",
      level: state.level ?? level,
      stillFrozen: state.frozen,
      ...(state.token === undefined ? {} : { token: state.token }),
      ownToken: token,
      elapsedMs: clock.monotonic() - started,
      ttlMs: guest.ttlSeconds * 1000,
    };
    return { result, facts, frozenAt };
  };
  let outcome: Awaited<ReturnType<typeof done>>;
  try {
    outcome = await done();
  } finally {
    thawedAt = await thaw(context, run, freeze);
  }
  if (thawedAt !== undefined) {
    const message = `The guest was frozen for ${Math.round(clock.monotonic() - started)} ms.`;
    await recordEvent(context, { runId: run.runId, name: runEvents.guestThawed, message }, signal);
  }
  return { ...outcome, ...(thawedAt === undefined ? { notThawed: freeze } : { thawedAt }) };
}

/** Never throws: the guest's own time limit and the reconciler stand behind it. Not stopped by the step's end: nothing is more urgent. */
async function thaw(context: Context, run: BackupIn<"snapshotting">, freeze: Freeze): Promise<Timestamp | undefined> {
  const always = new AbortController().signal;
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      await context.guest.thaw(freeze.guestUrl, run.attemptId, always);
      return timestamp(context.clock.now());
    } catch (error) {
      const message = `The guest did not answer when it was to be thawed; it thaws by itself ${freeze.ttlSeconds} s after it was frozen.`;
      const fields = { error: String(error) };
      const facts = { runId: run.runId, name: runEvents.thawFailed, message, level: "warning", fields } as const;
      if (attempt > 0) await recordEvent(context, facts, always);
    }
  }
  return undefined;
}

export function isSnapshotting(run: { readonly state: string }, attemptId: string): run is BackupIn<"snapshotting"> {
  return run.state === "snapshotting" && "attemptId" in run && run.attemptId === attemptId;
}
