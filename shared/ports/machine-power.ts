/**
 * Stops and starts the machine behind a source, for a backup that wants it at rest.
 *
 * 1. No call waits for the platform: what takes it longer than a few seconds is `waiting`, and is looked at again by `look`.
 * 2. Asked for what is so already, nothing happens. All may be called twice, at once.
 * 3. A machine is found by its source alone, also when it is not protected any more.
 */
import type { VmSource } from "../core/vm.ts";

export type PowerPhase = "running" | "starting" | "stopping" | "stopped" | "unknown";

/** `operation`: what is needed to find it again; kept in the run's row. */
export type PowerStep =
  | { readonly kind: "done" }
  | { readonly kind: "waiting"; readonly operation: string; readonly retryAfterMs: number };

export interface MachinePower {
  /** As the platform sees it now. Throws `not-found` only where it says that there is no such machine. */
  state(source: VmSource, signal: AbortSignal): Promise<PowerPhase>;
  /** The guest is asked to shut down, and what the machine ran on is given back. */
  stop(source: VmSource, signal: AbortSignal): Promise<PowerStep>;
  start(source: VmSource, signal: AbortSignal): Promise<PowerStep>;
  /** Looks at a stop or a start. Throws what it failed with. */
  look(source: VmSource, operation: string, signal: AbortSignal): Promise<PowerStep>;
}
