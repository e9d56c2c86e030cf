/**
 * What a VM may be going through that makes a backup now unsafe, to be tried again later (docs/architecture.md,
 * "Preflight"). All are transient: the run waits, with growing, jittered delays, until its retry window ends.
 */
export const transientConditions = [
  "provisioning",
  "migration-in-progress",
  "redeploy-in-progress",
  "host-maintenance",
  "failover-in-progress",
  "initial-replication",
  "resynchronization-required",
  "resynchronization-in-progress",
  "replica-log-applying",
  "replica-log-apply-failed",
  "replica-log-apply-interrupted",
  "replica-health-critical",
  /** Ours: an attempt before stopped it, and it is not known to run again. */
  "start-awaited",
  /** Not the platform's but ours: another run owns the VM. */
  "another-run-active",
] as const;

export type TransientCondition = (typeof transientConditions)[number];

/** The condition in words, for a run's reason. */
export const conditionTexts: Readonly<Record<TransientCondition, string>> = {
  provisioning: "the VM is being provisioned or updated",
  "migration-in-progress": "the VM is being migrated",
  "redeploy-in-progress": "the VM is being redeployed",
  "host-maintenance": "its host is under maintenance",
  "failover-in-progress": "a failover is in progress",
  "initial-replication": "its initial replication is not finished",
  "resynchronization-required": "its replica needs resynchronization",
  "resynchronization-in-progress": "its replica is being resynchronized",
  "replica-log-applying": "a replica log is being applied",
  "replica-log-apply-failed": "the last replica log could not be applied",
  "replica-log-apply-interrupted": "applying the last replica log was interrupted",
  "replica-health-critical": "its replication health is critical",
  "start-awaited": "it was stopped for its snapshots, and is not known to run again yet",
  "another-run-active": "another run is active for it",
};

const firstDelayMs = 30_000;
const longestDelayMs = 15 * 60_000;

/**
 * How long to wait before try number `tries` + 1: doubling from 30 s up to 15 min, each shortened by up to a half by
 * `fraction` (0 to 1, chance), so that VMs that waited for the same thing do not come back together.
 */
export function retryDelayMs(tries: number, fraction: number): number {
  const full = Math.min(firstDelayMs * 2 ** Math.min(tries, 10), longestDelayMs);
  return Math.round(full * (1 - fraction / 2));
}
