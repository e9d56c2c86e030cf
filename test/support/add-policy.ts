/** A policy in the catalog, for tests that drive backups themselves: without a schedule, and long enough for every delay. */
import { parsePolicyName, type PolicyName } from "../../shared/core/ids.ts";
import type { Policy } from "../../shared/core/policy.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import type { Context } from "../../shared/operations/context.ts";

type Wishes = Pick<Policy, "consistency"> & Partial<Omit<Policy, "name" | "createdAt" | "updatedAt">>;

export async function addPolicy(
  { catalog, clock }: Pick<Context, "catalog" | "clock">,
  name: string,
  wishes: Wishes,
): Promise<PolicyName> {
  const now = timestamp(clock.now());
  const policy: Policy = {
    name: parsePolicyName(name),
    retention: { keepLast: 30 },
    rpoSeconds: 86_400,
    retryWindowSeconds: 4 * 3600,
    freezeTtlSeconds: 20,
    pauseReplication: false,
    usnRollback: "warn",
    ...wishes,
    createdAt: now,
    updatedAt: now,
  };
  await catalog.policies.insert(policy, new AbortController().signal);
  return policy.name;
}
