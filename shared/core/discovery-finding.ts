/** What a look at the tags came to for one VM. */
import type { PolicyName, VmName } from "./ids.ts";
import type { VmResourceId } from "./resource-id.ts";

export const discoveryActions = [
  "protected",
  "policy-changed",
  "unprotected",
  /** Protected by a person, whatever its tag says. */
  "manual",
  "not-protected",
  /** Its tag names no policy (any more). */
  "policy-kept",
  /** Too many would go at once: to be confirmed. */
  "removal-held",
  /** For a reason that passes: a run is active, or somebody changed it at the same time. */
  "put-off",
  "failed",
] as const;
export type DiscoveryAction = (typeof discoveryActions)[number];

export interface DiscoveryFinding {
  readonly action: DiscoveryAction;
  readonly resourceId: VmResourceId;
  readonly vm?: VmName;
  readonly policy?: PolicyName;
  readonly note?: string;
}

const problems: readonly DiscoveryAction[] = ["not-protected", "policy-kept", "removal-held", "failed"];

/** Whether a person should mend it. */
export function isProblem({ action }: { readonly action: DiscoveryAction }): boolean {
  return problems.includes(action);
}
