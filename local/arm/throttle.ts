/**
 * Token buckets as ARM has them for a subscription: 250 reads and 25 more a second, 200 writes and deletes and 10 more a second. Beyond
 * them: 429 with the time to wait.
 */
import { ServiceError } from "./service-error.ts";

interface Bucket {
  tokens: number;
  at: number;
}

const families = {
  reads: { size: 250, perSecond: 25 },
  writes: { size: 200, perSecond: 10 },
  deletes: { size: 200, perSecond: 10 },
} as const;

export type RequestFamily = keyof typeof families;

export class Throttle {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes a token. Throws 429 where there is none. Gives what is left, for the header. */
  take(subscription: string, family: RequestFamily, now: number): number {
    const { size, perSecond } = families[family];
    const key = `${subscription} ${family}`;
    const bucket = this.#buckets.get(key) ?? { tokens: size, at: now };
    bucket.tokens = Math.min(size, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) throw tooMany(Math.ceil((1 - bucket.tokens) / perSecond));
    bucket.tokens -= 1;
    return Math.floor(bucket.tokens);
  }
}

export function tooMany(retryAfterSeconds: number): ServiceError {
  const text = "The server rejected the request because too many requests have been received for this subscription.";
  return new ServiceError(429, "OperationNotAllowed", text, { "Retry-After": String(retryAfterSeconds) });
}

export function familyOf(method: string): RequestFamily {
  if (method === "GET" || method === "HEAD") return "reads";
  return method === "DELETE" ? "deletes" : "writes";
}
