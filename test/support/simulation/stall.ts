import type { Gate } from "./gated.ts";

/** Stands still at the first call of a name, before or after it, until it is woken: a process that the machine has forgotten. */
export class Stall implements Gate {
  readonly #call: string;
  readonly #phase: "before" | "after";
  readonly #asleep = Promise.withResolvers<void>();
  readonly #awake = Promise.withResolvers<void>();

  constructor(phase: "before" | "after", call: string) {
    this.#phase = phase;
    this.#call = call;
  }

  before(call: string): Promise<void> {
    return this.#meet("before", call);
  }

  after(call: string): Promise<void> {
    return this.#meet("after", call);
  }

  /** Resolves once it stands still. */
  get asleep(): Promise<void> {
    return this.#asleep.promise;
  }

  wake(): void {
    this.#awake.resolve();
  }

  async #meet(phase: "before" | "after", call: string): Promise<void> {
    if (phase !== this.#phase || call !== this.#call) return;
    this.#asleep.resolve();
    await this.#awake.promise;
  }
}
