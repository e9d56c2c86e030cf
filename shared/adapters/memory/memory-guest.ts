/**
 * A guest in memory, for tests and the simulation: freezes with a time limit, knows tokens, and can misbehave in the ways real ones do.
 */
import type { ConsistencyLevel } from "../../core/consistency.ts";
import { FarsideError } from "../../core/errors.ts";
import type { GuestAgent, GuestState } from "../../ports/guest-agent.ts";

export type GuestBehaviour =
  | "well"
  /** Answers nothing at all. */
  | "dead"
  /** Freezes, and then answers nothing. */
  | "freezes-and-hangs"
  /** Says that it is frozen, and thaws at once by itself. */
  | "thaws-early"
  /** Against its contract: never thaws by itself. */
  | "ignores-its-limit";

interface Frozen {
  readonly token: string;
  readonly untilMs: number;
}

export class MemoryGuest implements GuestAgent {
  behaviour: GuestBehaviour = "well";
  level: Exclude<ConsistencyLevel, "crash"> = "application";
  /** How often it was frozen, and how often it had to thaw by itself. */
  freezes = 0;
  thawsByItself = 0;
  readonly #now: () => number;
  #frozen: Frozen | undefined;

  /** `now`: the guest's clock, in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Whether it is frozen now, seen from inside. */
  get isFrozen(): boolean {
    const expired = this.#frozen !== undefined && this.#now() >= this.#frozen.untilMs;
    if (expired && this.behaviour !== "ignores-its-limit") {
      this.#frozen = undefined;
      this.thawsByItself++;
    }
    return this.#frozen !== undefined;
  }

  async freeze(
    guestUrl: string,
    request: { ttlSeconds: number; token: string },
    signal: AbortSignal,
  ): Promise<{ level: Exclude<ConsistencyLevel, "crash"> }> {
    await this.#arrive(guestUrl, signal);
    if (this.isFrozen && this.#frozen?.token !== request.token) {
      throw new FarsideError("guest-failed", `The guest ${guestUrl} is frozen by somebody else.`);
    }
    this.freezes++;
    const limitMs = this.behaviour === "thaws-early" ? 0 : request.ttlSeconds * 1000;
    this.#frozen = { token: request.token, untilMs: this.#now() + limitMs };
    return { level: this.level };
  }

  async thaw(guestUrl: string, token: string, signal: AbortSignal): Promise<{ wasFrozen?: boolean }> {
    await this.#arrive(guestUrl, signal);
    const wasFrozen = this.isFrozen && this.#frozen?.token === token;
    if (wasFrozen) this.#frozen = undefined;
    return { wasFrozen };
  }

  async state(guestUrl: string, signal: AbortSignal): Promise<GuestState> {
    await this.#arrive(guestUrl, signal);
    return this.isFrozen && this.#frozen !== undefined
      ? { frozen: true, level: this.level, token: this.#frozen.token }
      : { frozen: false };
  }

  async #arrive(guestUrl: string, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await Promise.resolve();
    const hangs = this.behaviour === "freezes-and-hangs" && this.#frozen !== undefined;
    if (this.behaviour === "dead" || hangs) {
      throw new FarsideError("guest-failed", `The guest ${guestUrl} does not answer.`);
    }
  }
}
