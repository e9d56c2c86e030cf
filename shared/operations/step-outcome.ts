/** What one delivery of a queue message came to. For logs and tests: nothing is decided by it. */
export type StepOutcome =
  | { readonly kind: "done" }
  /** Not the run's turn any more, or not yet: a late, early or repeated message. */
  | { readonly kind: "late"; readonly reason: string }
  /** Out of its time: the rest was sent as a message of its own. */
  | { readonly kind: "continued" }
  /** The VM is not safe to back up now; the run is queued again. */
  | { readonly kind: "waiting"; readonly condition: string }
  | { readonly kind: "ended"; readonly state: "succeeded" | "failed" | "cancelled" };
