/** What one tick found to do; all zeros but `runsSeen` when everything stands as it should. */
export interface ReconcileOutcome {
  readonly runsSeen: number;
  /** Runs whose messages were sent again. */
  readonly runsDriven: number;
  readonly runsEnded: number;
  readonly runsCleaned: number;
  readonly pointsSealed: number;
  readonly rowsRebuilt: number;
  readonly orphansRemoved: number;
  /** What could not be done in this tick; the log says why, and the next one tries again. */
  readonly failures: number;
}

export type ReconcileCounts = { -readonly [Key in keyof ReconcileOutcome]: number };
