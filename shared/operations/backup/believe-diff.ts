import type { SourceAccount } from "../../ports/catalog.ts";
import type { DiskSource } from "../../ports/disk-source.ts";
import type { RunId } from "../../core/ids.ts";
import { runEvents } from "../../core/run-events.ts";
import { clockToleranceMs } from "../../core/schedule-slots.ts";
import { epochMs, timestamp } from "../../core/timestamp.ts";
import { FarsideError } from "../../core/errors.ts";
import type { Context } from "../context.ts";
import { recordEvent } from "../run/record-event.ts";

const dayMs = 24 * 3_600_000;
/** A probe is repeated daily. What a sample caught in a real backup, no probe takes back for a month. */
const validMs: Readonly<Record<SourceAccount["foundBy"], number>> = { probe: dayMs, sample: 30 * dayMs };

/** Whether this account's changed-page lists can be believed, by what is known of it or by a probe now. */
export async function believesDiff(
  context: Context,
  source: DiskSource,
  facts: { readonly runId: RunId; readonly reference: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<boolean> {
  const account = source.accountOf(facts.reference);
  const known = (await context.catalog.sourceAccounts.get(account, signal))?.value;
  if (known !== undefined && isFresh(known, context.clock.now())) return known.diff === "exact";
  let probed: Awaited<ReturnType<DiskSource["probeDiff"]>>;
  try {
    probed = await source.probeDiff(facts.reference, signal);
  } catch (error) {
    if (error instanceof FarsideError && error.advice === "retry") throw error;
    // No right to write a probe, say: comparing is slower and always right. Nothing is noted, so that the next run asks again.
    context.log.log("warning", "diff-probe-failed", { runId: facts.runId, account, error: String(error) });
    return false;
  }
  const { diff, note } = probed;
  const probedAt = timestamp(context.clock.now());
  await noteAccount(
    context,
    { account, diff, foundBy: "probe", probedAt, ...(note === undefined ? {} : { note }) },
    signal,
  );
  const message =
    diff === "exact"
      ? note === undefined
        ? `The changed pages that ${account} lists are exact.`
        : `The changed pages that ${account} lists are believed: ${note}`
      : `The changed pages that ${account} lists are wrong: its disks are compared by hash.`;
  await recordEvent(
    context,
    { runId: facts.runId, name: runEvents.diffProbed, message, fields: { account, diff } },
    signal,
  );
  return diff === "exact";
}

/** A sample found a change that the list had not named. */
export async function disbelieveDiff(
  context: Context,
  source: DiskSource,
  facts: {
    readonly runId: RunId;
    readonly disk: string;
    readonly offset: number;
    readonly reference: Readonly<Record<string, string>>;
  },
  signal: AbortSignal,
): Promise<void> {
  const { runId, disk, offset } = facts;
  const account = source.accountOf(facts.reference);
  const note = `A change of ${disk} at byte ${offset} was not in the list.`;
  const probedAt = timestamp(context.clock.now());
  await noteAccount(context, { account, diff: "wrong", foundBy: "sample", probedAt, note }, signal);
  const message = `The changed pages that ${account} lists are not believed any more: ${disk} differs at byte ${offset}, which the list did not name. Restore points that were made from such lists before may lack changes: a full backup is taken by comparing every chunk.`;
  await recordEvent(
    context,
    { runId, name: runEvents.diffNotBelieved, message, level: "error", fields: { account, disk, offset } },
    signal,
  );
}

function isFresh(known: SourceAccount, now: number): boolean {
  const ageMs = now - epochMs(known.probedAt);
  return ageMs < validMs[known.foundBy] && ageMs > -clockToleranceMs;
}

/** Of two at once either may stand: both have just looked. But what a sample found is never overwritten by a probe of the same time. */
async function noteAccount(context: Context, value: SourceAccount, signal: AbortSignal): Promise<void> {
  const { sourceAccounts } = context.catalog;
  const stored = await sourceAccounts.get(value.account, signal);
  if (stored === undefined) await sourceAccounts.insert(value, signal);
  else if (value.foundBy === "sample" || !isFresh(stored.value, context.clock.now())) {
    const done = await sourceAccounts.replace(stored, value, signal);
    if (done === "conflict" && value.foundBy === "sample") {
      throw new FarsideError("conflict", `What is known of the account ${value.account} changed at the same time.`);
    }
  }
}
