/** How the last look at a scope went: kept for people who ask for the status between two looks. */
import type { ErrorRecord } from "./errors.ts";
import type { Timestamp } from "./timestamp.ts";

export interface DiscoveryProblem {
  readonly resourceId: string;
  readonly problem: string;
}

export interface DiscoveryReport {
  readonly scope: string;
  readonly at: Timestamp;
  /** When it was last listed to its end. */
  readonly completeAt?: Timestamp;
  /** VMs that the last complete listing had, and those of them with the tag. */
  readonly vms: number;
  readonly tagged: number;
  /** Why the last look did not come to its end: nobody was unprotected after it. */
  readonly error?: Pick<ErrorRecord, "code" | "message">;
  /** The service asked not to be asked before. */
  readonly notBefore?: Timestamp;
  /** What a person should mend; the first of them, and how many there are. */
  readonly problems: readonly DiscoveryProblem[];
  readonly problemsInAll: number;
}

export const mostProblems = 50;
