/** One process of the app: everything it does goes through its gate; once dead, it does nothing any more. */
import { FarsideError } from "../../../shared/core/errors.ts";
import type { Gate } from "./gated.ts";

/** The process was killed: not an error of the program, and nothing that it could handle. */
export class Death extends Error {
  constructor(call: string) {
    super(`The process died at ${call}.`);
    this.name = "Death";
  }
}

export type Fate =
  /** Dies before or after its n-th call of a port, counted from 0. */
  | { readonly kind: "dies"; readonly phase: "before" | "after"; readonly call: number }
  /** That one call fails, before or after it had its effect, as services do; the process lives on. */
  | { readonly kind: "fails"; readonly phase: "before" | "after"; readonly call: number }
  /** That one call is refused, as by a role that was taken away: no repetition mends it, and the run gives up. */
  | { readonly kind: "refused"; readonly phase: "before" | "after"; readonly call: number }
  | { readonly kind: "lives" };

export class Process implements Gate {
  readonly calls: string[] = [];
  dead = false;
  /** Whether its fate has come. */
  struck = false;
  readonly #fate: Fate;
  readonly #also: Gate;

  /** `also`: what happens at each call besides (waits, errors). */
  constructor(fate: Fate = { kind: "lives" }, also: Gate = openGate) {
    this.#fate = fate;
    this.#also = also;
  }

  async before(call: string): Promise<void> {
    this.#stopIfDead(call);
    const number = this.calls.push(call) - 1;
    await this.#also.before(call);
    this.#stopIfDead(call);
    this.#strike(call, "before", number);
  }

  async after(call: string): Promise<void> {
    // A call that was under way when the process died has its effect; nobody hears of it.
    this.#stopIfDead(call);
    this.#strike(call, "after", this.calls.length - 1);
    await this.#also.after(call);
  }

  #strike(call: string, phase: "before" | "after", number: number): void {
    const fate = this.#fate;
    if (fate.kind === "lives" || fate.phase !== phase || this.struck) return;
    // Calls at once end out of order: the first end at or after the place is the one.
    if (phase === "before" ? number !== fate.call : number < fate.call) return;
    this.struck = true;
    if (fate.kind === "refused") throw new FarsideError("forbidden", `The service refused ${call}.`);
    if (fate.kind === "fails") throw new FarsideError("unavailable", `The service did not answer ${call}.`);
    this.dead = true;
    throw new Death(call);
  }

  #stopIfDead(call: string): void {
    if (this.dead) throw new Death(call);
  }
}

const openGate: Gate = {
  before: () => Promise.resolve(),
  after: () => Promise.resolve(),
};
