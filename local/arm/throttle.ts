/**
 * Token buckets as ARM has them for a subscription ("Understand how Azure Resource Manager throttles requests"): 250 reads and 25 more a
 * second, 200 writes and deletes and 10 more a second. Behind them those of compute for one VM ("Compute throttling limits"). Beyond either: 429
 * with the time to wait, each in its own shape.
 */
import { ServiceError, ThrottledByCompute } from "./service-error.ts";

interface Bucket {
  tokens: number;
  at: number;
}

interface Size {
  readonly size: number;
  readonly perSecond: number;
}

const families = {
  reads: { size: 250, perSecond: 25 },
  writes: { size: 200, perSecond: 10 },
  deletes: { size: 200, perSecond: 10 },
} as const;

export type RequestFamily = keyof typeof families;

/** Of one VM. The documentation gives their numbers for a minute, and no names. */
const ofVm: Readonly<Record<string, Size>> = {
  UpdateVM: { size: 12, perSecond: 4 / 60 },
  DeleteVM: { size: 12, perSecond: 4 / 60 },
  GetVM: { size: 36, perSecond: 12 / 60 },
};

export class Throttle {
  readonly #buckets = new Map<string, Bucket>();

  /** Takes a token. Throws 429 where there is none. Gives what is left, for the header. */
  take(subscription: string, family: RequestFamily, now: number): number {
    const taken = this.#take(`${subscription} ${family}`, families[family], now);
    if (taken.kind === "left") return taken.tokens;
    const text = `Number of ${family.slice(0, -1)} requests for subscription '${subscription}' exceeded the limit. Please try again after '${taken.seconds}' seconds.`;
    throw new ServiceError(429, "SubscriptionRequestsThrottled", text, { "Retry-After": String(taken.seconds) });
  }

  /** The same for a request that concerns a VM: gives the header's text; undefined: it concerns none. */
  takeOfVm(method: string, path: string, now: number): string | undefined {
    const [, vm = "", action] =
      /^(.*\/Microsoft\.Compute\/virtualMachines\/[^/]+)(?:\/(\w+)(?:\/[^/]+)?)?$/i.exec(path) ?? [];
    if (vm === "") return undefined;
    const deletes = method === "DELETE" || action?.toLowerCase() === "deallocate";
    const policy = method === "GET" ? "GetVM" : deletes ? "DeleteVM" : "UpdateVM";
    const size = ofVm[policy] ?? families.reads;
    const taken = this.#take(`${vm.toLowerCase()} ${policy}`, size, now);
    if (taken.kind === "left") return `Microsoft.Compute/${policy};${taken.tokens}`;
    throw new ThrottledByCompute({
      policy,
      allowed: size.size,
      measured: size.size + 1,
      retryAfterSeconds: taken.seconds,
    });
  }

  #take(key: string, { size, perSecond }: Size, now: number) {
    const bucket = this.#buckets.get(key) ?? { tokens: size, at: now };
    bucket.tokens = Math.min(size, bucket.tokens + (Math.max(0, now - bucket.at) / 1000) * perSecond);
    bucket.at = now;
    this.#buckets.set(key, bucket);
    if (bucket.tokens < 1) return { kind: "none", seconds: Math.ceil((1 - bucket.tokens) / perSecond) } as const;
    bucket.tokens -= 1;
    return { kind: "left", tokens: Math.floor(bucket.tokens) } as const;
  }
}

export function familyOf(method: string): RequestFamily {
  if (method === "GET" || method === "HEAD") return "reads";
  return method === "DELETE" ? "deletes" : "writes";
}
