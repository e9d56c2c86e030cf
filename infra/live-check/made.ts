/**
 * What the checks have made, and how it is removed: the newest first, each whatever became of the others. What could not be removed is tried once
 * more: after an interrupt it may still be in the making.
 */
import { setTimeout } from "node:timers/promises";

interface Made {
  readonly what: string;
  readonly remove: (signal: AbortSignal) => Promise<void>;
}

export class MadeThings {
  readonly #made: Made[] = [];

  /** Before it is asked for: what was asked for may have been made, whatever the answer. */
  add(what: string, remove: Made["remove"]): void {
    this.#made.push({ what, remove });
  }

  get names(): readonly string[] {
    return this.#made.map(({ what }) => what);
  }

  /** What is left, each with its reason. */
  async removeAll(signal: AbortSignal, tell: (line: string) => void, againAfterMs: number): Promise<readonly string[]> {
    const failed = await removeEach(this.#made.splice(0).toReversed(), signal, tell);
    if (failed.length === 0) return [];
    await setTimeout(againAfterMs, undefined, { signal }).catch(() => undefined);
    const again = await removeEach(
      failed.map(({ one }) => one),
      signal,
      tell,
    );
    return again.map(({ one, why }) => `${one.what}: ${why}`);
  }
}

async function removeEach(made: readonly Made[], signal: AbortSignal, tell: (line: string) => void) {
  const failed: { readonly one: Made; readonly why: string }[] = [];
  for (const one of made) {
    tell(`removing ${one.what}`);
    try {
      await one.remove(signal);
    } catch (error) {
      const why = error instanceof Error ? error.message.replaceAll(/\?\S*/g, "") : "no reason";
      failed.push({ one, why });
    }
  }
  return failed;
}
