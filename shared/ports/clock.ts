/**
 * The clock of this process. It decides schedules, waits and deadlines. It decides nothing about the safety of stored
 * data: those decisions take the storage service's own time (`lastModified` of the vault store).
 */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. May jump. */
  now(): number;
  /** Milliseconds that never jump back, from an arbitrary start. For durations. */
  monotonic(): number;
  /** Resolves after `ms`; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}
