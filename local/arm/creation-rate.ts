/**
 * How often restore points of a VM are made: three of one mode in an hour ("Virtual machine restore points"), also where they were removed
 * since. Whether one that failed counts is not documented: here it does not.
 */
import { ThrottledByCompute } from "./service-error.ts";

const most = 3;
const hourMs = 3_600_000;

export class CreationRate {
  readonly #times = new Map<string, number[]>();

  /** Throws 429 where there were too many. Gives what takes this one out of the count again. `key`: the VM and the mode. */
  take(key: string, now: number): () => void {
    const recent = (this.#times.get(key) ?? []).filter((at) => now - at < hourMs);
    if (recent.length >= most) {
      const retryAfterSeconds = Math.ceil((Math.min(...recent) + hourMs - now) / 1000);
      const limit = { policy: "RestorePointCreate", allowed: most, measured: most + 1 };
      throw new ThrottledByCompute({ ...limit, retryAfterSeconds });
    }
    this.#times.set(key, [...recent, now]);
    return () => {
      const left = this.#times.get(key) ?? [];
      const at = left.indexOf(now);
      this.#times.set(key, at < 0 ? left : left.toSpliced(at, 1));
    };
  }
}
