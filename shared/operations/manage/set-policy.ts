import { satisfies } from "../../core/consistency.ts";
import { FarsideError } from "../../core/errors.ts";
import type { PolicyName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { Policy, Retention, Schedule } from "../../core/policy.ts";
import { mostInstantSets } from "../../core/snapshot-removal.ts";
import { epochMs, timestamp, type Timestamp } from "../../core/timestamp.ts";
import { refuseShutdown } from "../backup/refuse-shutdown.ts";
import type { Context } from "../context.ts";
import { listWhole } from "./list-whole.ts";

/** Everything of a policy but its name and its times. */
export type PolicySettings = Omit<Policy, "name" | "createdAt" | "updatedAt">;

const dayMs = 86_400_000;

export interface PolicySet {
  readonly kind: "created" | "replaced";
  readonly policy: Policy;
}

/**
 * Makes a policy or replaces it as a whole. Throws `bad-input`, naming the field, for a schedule that never fires, a time
 * zone that does not exist, a retention of nothing, or a least consistency above the wanted one, and `not-supported` for `shutdown` with a
 * VM behind which nothing can be stopped; nothing is changed then.
 */
export async function setPolicy(
  context: Context,
  input: { readonly name: PolicyName; readonly settings: PolicySettings },
  signal: AbortSignal,
): Promise<PolicySet> {
  check(context, input.settings);
  const now = timestamp(context.clock.now());
  if (input.settings.shutdown === true) await checkVms(context, input.name, signal);
  const existing = await context.catalog.policies.get(input.name, signal);
  const policy: Policy = {
    ...input.settings,
    name: input.name,
    createdAt: existing?.value.createdAt ?? now,
    updatedAt: now,
  };
  const written =
    existing === undefined
      ? await context.catalog.policies.insert(policy, signal)
      : await context.catalog.policies.replace(existing, policy, signal);
  if (written === "exists" || written === "conflict") {
    throw new FarsideError(
      "conflict",
      `The policy ${quote(input.name)} was changed by somebody else just now: look at it, then set it again.`,
      { details: { policy: input.name } },
    );
  }
  context.log.log("info", "policy-set", { policy: input.name });
  return { kind: existing === undefined ? "created" : "replaced", policy };
}

function check(context: Context, settings: PolicySettings): void {
  if (settings.schedule !== undefined) checkSchedule(context, settings.schedule);
  checkRetention(settings.retention);
  checkInstantRestore(context, settings);
  const { wanted, least } = settings.consistency;
  if (settings.shutdown === true && least === "application") {
    throw wrongField(
      "consistency.least",
      "A VM that is stopped for its backup is filesystem-consistent at most: lower the least accepted consistency, or take shutdown away.",
    );
  }
  if (!satisfies(wanted, least)) {
    throw wrongField(
      "consistency.least",
      `The least accepted consistency (${least}) is better than the wanted one (${wanted}): lower it or ask for more.`,
    );
  }
}

async function checkVms(context: Context, name: PolicyName, signal: AbortSignal): Promise<void> {
  for (const vm of await listWhole(context.catalog.vms, { policy: name }, signal)) {
    refuseShutdown(context, vm, { name, shutdown: true });
  }
}

function checkSchedule(context: Context, schedule: Schedule): void {
  try {
    context.calendar.check(schedule);
  } catch (error) {
    if (!(error instanceof FarsideError)) throw error;
    throw wrongField("schedule", error.message, error);
  }
}

function checkRetention(retention: Retention): void {
  if (Object.values(retention).some((count) => typeof count === "number" && count > 0)) return;
  throw wrongField(
    "retention",
    "The retention keeps nothing: give at least one number above zero, such as keepLast or keepDaily.",
  );
}

/** What a schedule would keep at once must fit into what the platform holds. Policies of backups on demand are kept to it as they go. */
function checkInstantRestore(context: Context, { schedule, instantRestoreDays = 0 }: PolicySettings): void {
  if (schedule === undefined || instantRestoreDays === 0) return;
  const most = mostInstantSets.managed;
  const from = context.clock.now();
  const until = from + instantRestoreDays * dayMs;
  let at: Timestamp | undefined = timestamp(from);
  for (let count = 0; count <= most; count++) {
    const before: Timestamp = at;
    at = context.calendar.next(schedule, before);
    if (at === undefined || epochMs(at) > until) return;
    if (count < most) continue;
    const fitting = Math.floor((epochMs(before) - from) / dayMs);
    throw wrongField(
      "instantRestoreDays",
      `In ${instantRestoreDays} days this schedule makes more than ${most} backups, and Azure holds 500 restore points of a VM and 500 snapshots of a disk: keep ${fitting === 1 ? "1 day" : `${fitting} days`} at most, or back up less often.`,
    );
  }
}

function wrongField(path: string, message: string, cause?: unknown): FarsideError {
  return new FarsideError("bad-input", message, { cause, details: { errors: [{ path, message }] } });
}
