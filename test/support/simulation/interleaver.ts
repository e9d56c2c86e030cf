import type { Gate } from "./gated.ts";
import type { SeededRandom } from "./seeded-random.ts";

/**
 * Runs several pieces of work at once, one port call at a time, in an order drawn from the seed: each call waits at the gate until it
 * is picked. (Compression runs on other threads, so that the same seed gives nearly, not always, the same order.)
 */
export class Interleaver implements Gate {
  readonly #random: SeededRandom;
  readonly #waiting: (() => void)[] = [];

  constructor(random: SeededRandom) {
    this.#random = random;
  }

  before(): Promise<void> {
    return new Promise((go) => void this.#waiting.push(go));
  }

  after(): Promise<void> {
    return Promise.resolve();
  }

  async run<T>(works: readonly (() => Promise<T>)[]): Promise<readonly PromiseSettledResult<T>[]> {
    let settled = false;
    const results = Promise.allSettled(works.map((work) => work())).finally(() => {
      settled = true;
    });
    const isSettled = (): boolean => settled;
    while (!isSettled()) {
      // Everything that can go on without us has come to its next gate, or is on another thread.
      await new Promise((resolve) => void setImmediate(resolve));
      const [go] = this.#waiting.splice(this.#random.below(this.#waiting.length), 1);
      go?.();
    }
    return results;
  }
}
