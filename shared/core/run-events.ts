/** The names of the events that make up a run's history. Stable: people filter and alert on them. */
export const runEvents = {
  requested: "run-requested",
  attemptStarted: "attempt-started",
  waiting: "run-waiting",
  cancelRequested: "cancel-requested",
  guestThawed: "guest-thawed",
  thawFailed: "guest-thaw-failed",
  snapshotsBegun: "snapshots-begun",
  snapshotsTaken: "snapshots-taken",
  attemptLost: "attempt-lost",
  usnRollbackRisk: "usn-rollback-risk",
  diffProbed: "diff-probed",
  diffNotBelieved: "diff-not-believed",
  diskPlanned: "disk-planned",
  planned: "run-planned",
  messagesResent: "messages-resent",
  committed: "restore-point-committed",
  platformBegun: "platform-at-work",
  targetsPrepared: "targets-prepared",
  safetyTaken: "safety-snapshots-taken",
  targetLeft: "target-left",
  succeeded: "run-succeeded",
  failed: "run-failed",
  cancelled: "run-cancelled",
} as const;

export type RunEventName = (typeof runEvents)[keyof typeof runEvents];
