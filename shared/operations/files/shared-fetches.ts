/**
 * A least-recently-used cache of things that are fetched by a key, in which callers share the fetches that are under way.
 *
 * 1. Two who want one key at one time cause one fetch. It is cancelled only when nobody waits for it any more.
 * 2. What failed is not kept: the next who asks fetches again.
 * 3. What is kept never weighs more than `maxWeight` in all; what is used longest ago goes first.
 */
export interface SharedFetchesOptions<K, V> {
  readonly maxWeight: number;
  readonly weigh: (value: V) => number;
  /** Its signal is aborted when nobody waits any more. */
  readonly fetch: (key: K, signal: AbortSignal) => Promise<V>;
}

interface Flight<V> {
  readonly result: Promise<V>;
  readonly leaving: AbortController;
  waiters: number;
}

export class SharedFetches<K, V> {
  readonly #options: SharedFetchesOptions<K, V>;
  /** In the order of their last use: a Map keeps the order in which keys were set. */
  readonly #kept = new Map<K, V>();
  readonly #flights = new Map<K, Flight<V>>();
  #weight = 0;

  constructor(options: SharedFetchesOptions<K, V>) {
    this.#options = options;
  }

  /** What all that is kept weighs. */
  get weight(): number {
    return this.#weight;
  }

  /** `kept`: it is there. `coming`: it is being fetched. */
  state(key: K): "kept" | "coming" | "absent" {
    if (this.#kept.has(key)) return "kept";
    return this.#flights.has(key) ? "coming" : "absent";
  }

  /** Throws what `fetch` throws, and the signal's reason as soon as it is aborted, whatever others wait for. */
  async get(key: K, signal: AbortSignal): Promise<V> {
    signal.throwIfAborted();
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept;
    }
    return this.#wait(key, this.#flights.get(key) ?? this.#start(key), signal);
  }

  #start(key: K): Flight<V> {
    const leaving = new AbortController();
    const flight: Flight<V> = { result: this.#options.fetch(key, leaving.signal), leaving, waiters: 0 };
    this.#flights.set(key, flight);
    const ended = (): void => this.#land(key, flight);
    flight.result.then((value) => this.#keep(key, value)).then(ended, ended);
    return flight;
  }

  /** One that was given up may still end, after another for its key has begun. */
  #land(key: K, flight: Flight<V>): void {
    if (this.#flights.get(key) === flight) this.#flights.delete(key);
  }

  #wait(key: K, flight: Flight<V>, signal: AbortSignal): Promise<V> {
    flight.waiters += 1;
    return new Promise<V>((resolve, reject) => {
      const stop = (): void => {
        reject(signal.reason);
        flight.waiters -= 1;
        if (flight.waiters > 0) return;
        this.#land(key, flight);
        flight.leaving.abort(signal.reason);
      };
      signal.addEventListener("abort", stop, { once: true });
      const done = (): void => signal.removeEventListener("abort", stop);
      flight.result.finally(done).then(resolve, reject);
    });
  }

  #keep(key: K, value: V): void {
    const { maxWeight, weigh } = this.#options;
    const weight = weigh(value);
    if (weight > maxWeight) return;
    const before = this.#kept.get(key);
    if (before !== undefined) this.#drop(key, before);
    this.#kept.set(key, value);
    this.#weight += weight;
    for (const [oldest, old] of this.#kept) {
      if (this.#weight <= maxWeight) return;
      this.#drop(oldest, old);
    }
  }

  #drop(key: K, value: V): void {
    this.#kept.delete(key);
    this.#weight -= this.#options.weigh(value);
  }
}
