/**
 * What one process asks of a subscription. ARM refuses beyond 250 reads (25 more a second) and 200 writes and deletes (10 more a second)
 * each for a subscription and identity (its documented limits of 2024). A process takes less than half of them, so that
 * several, and other tools of the same identity, have room: most waits then happen here, before the service has to refuse.
 */
import { FarsideError } from "../../../core/errors.ts";

const families = {
  reads: { size: 100, perSecond: 10 },
  writes: { size: 80, perSecond: 4 },
  deletes: { size: 80, perSecond: 4 },
} as const;
type Family = keyof typeof families;

/** A function is not held for longer by it: beyond that its step comes back later. */
const longestWaitMs = 3000;

export class TokenBucket {
  readonly #now: () => number;
  readonly #left = new Map<Family, { tokens: number; at: number }>();

  /** `now`: milliseconds that never jump back. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** Takes one, and says how long to wait before it is used. Throws `throttled`, and takes none, where that would be long. */
  take(method: string): { readonly waitMs: number } {
    const family = familyOf(method);
    const { size, perSecond } = families[family];
    const now = this.#now();
    const before = this.#left.get(family) ?? { tokens: size, at: now };
    const tokens = Math.min(size, before.tokens + ((now - before.at) / 1000) * perSecond) - 1;
    const waitMs = tokens >= 0 ? 0 : Math.ceil((-tokens / perSecond) * 1000);
    if (waitMs > longestWaitMs) {
      throw new FarsideError(
        "throttled",
        `This process has asked enough of the subscription for now (${family}): it goes on later.`,
        { retryAfterMs: waitMs },
      );
    }
    this.#left.set(family, { tokens, at: now });
    return { waitMs };
  }
}

function familyOf(method: string): Family {
  if (method === "GET" || method === "HEAD") return "reads";
  return method === "DELETE" ? "deletes" : "writes";
}
