/**
 * The guest of a VM that is reached by a webhook: POST {guest}/freeze, POST {guest}/thaw, GET {guest}/state.
 *
 * 1. Freezing carries its own time limit: the guest thaws by itself after `ttlSeconds`, whatever happens to the caller.
 * 2. `token` is the attempt's id. A guest that knows tokens thaws only for the token that froze it.
 * 3. A guest that does not answer throws `guest-failed`. Where it did answer, though not as agreed, `details.status` is the HTTP status.
 */
import type { ConsistencyLevel } from "../core/consistency.ts";

export interface GuestState {
  readonly frozen: boolean;
  /** Where frozen: what the freeze achieved, and whose it is (where the guest says so). */
  readonly level?: Exclude<ConsistencyLevel, "crash">;
  readonly token?: string;
}

export interface GuestAgent {
  freeze(
    guestUrl: string,
    request: { ttlSeconds: number; token: string },
    signal: AbortSignal,
  ): Promise<{ level: Exclude<ConsistencyLevel, "crash"> }>;
  /** `wasFrozen`: whether it was still frozen when the thaw came, where the guest says so. */
  thaw(guestUrl: string, token: string, signal: AbortSignal): Promise<{ wasFrozen?: boolean }>;
  state(guestUrl: string, signal: AbortSignal): Promise<GuestState>;
}
