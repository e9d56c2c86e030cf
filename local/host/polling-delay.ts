/** The pauses between looks into an empty queue: random, growing twofold, from 100 ms up to a maximum. */
export class PollingDelay {
  readonly #minMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #exponent = 0;

  constructor(minMs: number, maxMs: number, random: () => number = Math.random) {
    this.#minMs = Math.min(minMs, maxMs);
    this.#maxMs = maxMs;
    this.#random = random;
  }

  /** Something was found: the next pause is the least again. */
  reset(): void {
    this.#exponent = 0;
  }

  next(): number {
    const spread = 0.8 + this.#random() * 0.4;
    const delay = this.#minMs + (this.#exponent === 0 ? 0 : this.#minMs * spread * 2 ** (this.#exponent - 1));
    if (delay >= this.#maxMs) return this.#maxMs;
    this.#exponent += 1;
    return delay;
  }
}
