/**
 * What was granted by SAS, in this process's memory alone (I8), shared by all that use it now.
 *
 * 1. It is asked for anew before it ends.
 * 2. A grant that failed is not kept: the next one who needs it asks again.
 */

const lastsMs = 3 * 3_600_000;
/** How long each SAS is asked for. What is not given back ends by itself. */
export const grantSeconds = lastsMs / 1000;
/** A window of a copy or a restore takes minutes: one begun now must still end with this SAS. */
const refreshBeforeMs = 20 * 60_000;
/** A grant is the one operation that is waited for: a second or two. */
export const grantLimitMs = 20_000;
export const grantPollMs = 500;

interface Granted<T> {
  readonly given: Promise<T>;
  readonly endsAt: number;
}

export class GrantedAccess<T> {
  readonly #monotonic: () => number;
  readonly #granted = new Map<string, Granted<T>>();

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic;
  }

  /** What stands, or what `grant` gives: shared, and so not ended by one of those who wait for it and give up. */
  of(key: string, grant: () => Promise<T>): Promise<T> {
    const now = this.#monotonic();
    const standing = this.#granted.get(key);
    if (standing !== undefined && standing.endsAt - refreshBeforeMs > now) return standing.given;
    for (const [other, { endsAt }] of this.#granted) if (endsAt <= now) this.#granted.delete(other);
    const given = grant();
    this.#granted.set(key, { given, endsAt: now + lastsMs });
    given.catch(() => this.drop(key, given));
    return given;
  }

  /** `refused`: only where this is what stands, for somebody may have asked anew already. */
  drop(key: string, refused?: Promise<T>): void {
    if (refused === undefined || this.#granted.get(key)?.given === refused) this.#granted.delete(key);
  }

  keys(): readonly string[] {
    return [...this.#granted.keys()];
  }
}
