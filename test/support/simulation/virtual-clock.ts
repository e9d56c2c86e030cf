import type { Clock } from "../../../shared/ports/clock.ts";

/**
 * Time that moves only when it is told to. `serviceNow` is the services' time (storage, queue, source, guest); `now` is this process's
 * clock, which can be wrong by any amount.
 */
export class VirtualClock implements Clock {
  #serviceMs: number;
  #wrongByMs = 0;

  constructor(startMs: number) {
    this.#serviceMs = startMs;
  }

  readonly serviceNow = (): number => this.#serviceMs;

  now(): number {
    return this.#serviceMs + this.#wrongByMs;
  }

  monotonic(): number {
    return this.#serviceMs;
  }

  /** The process's clock jumps and stays wrong by `ms` from the services' time; 0 puts it right. */
  setWrongBy(ms: number): void {
    this.#wrongByMs = ms;
  }

  advance(ms: number): void {
    this.#serviceMs += ms;
  }

  async sleep(ms: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    this.advance(ms);
    await Promise.resolve();
  }
}
