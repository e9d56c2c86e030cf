/**
 * Removes what a restore made, a little at each call: each removal is begun and looked at again until the thing is gone.
 *
 * 1. Only what bears the run's tag is removed. What somebody uses meanwhile is left, and told.
 * 2. A lock, a missing permission, or one removal that failed five times leaves the thing, with the platform's reason. The failures are
 *    counted by this process: they do not decide what is removed.
 */
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { RunId } from "../../../../core/ids.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { beginChange, ChangeFailed, isUnderWay, type BegunChange } from "./begun-change.ts";
import type { SeenAny } from "./look-at.ts";
import { nameOf } from "./names.ts";
import { isOwn } from "./own-tags.ts";

export interface Removal<T extends SeenAny> {
  readonly id: string;
  readonly query: Readonly<Record<string, string>>;
  /** "the disk", for messages. */
  readonly what: string;
  readonly see: (signal: AbortSignal) => Promise<T | undefined>;
  /** Why it cannot be removed though it is ours; undefined where it can. */
  readonly keptBy?: (seen: T) => string | undefined;
  /** What must be done before it can be removed, begun; undefined where there is nothing. */
  readonly before?: (seen: T, signal: AbortSignal) => Promise<BegunChange | "begun" | undefined>;
}

export type Removed = { readonly kind: "gone" | "waiting" } | { readonly kind: "left"; readonly why: string };

const mostFailures = 5;
const mostRemembered = 1000;

interface Memory {
  readonly change?: BegunChange | undefined;
  readonly failures: number;
}

export class OwnRemover {
  readonly #memory = new Map<string, Memory>();

  /** Counts what fails here, by the run and the thing. `undefined` where it may be tried again. */
  failed(runId: RunId, id: string, error: unknown): string | undefined {
    const known = tellable(error);
    const { failures } = this.#recall(runId, id);
    this.#remember(runId, id, { failures: failures + 1 });
    return failures + 1 < mostFailures && !known.isFinal ? undefined : known.reason;
  }

  async remove<T extends SeenAny>(
    arm: ArmConnection,
    runId: RunId,
    removal: Removal<T>,
    signal: AbortSignal,
  ): Promise<Removed> {
    const { id, what, see, keptBy, before, query } = removal;
    const shown = `${what} ${nameOf(id)}`;
    try {
      const { change, failures } = this.#recall(runId, id);
      if (change !== undefined) {
        if (await isUnderWay(arm, change, signal)) return { kind: "waiting" };
        this.#remember(runId, id, { failures });
      }
      const seen = await see(signal);
      if (seen === undefined || !isOwn(seen.tags, runId)) return this.#gone(runId, id);
      if (/^deleting$/i.test(seen.properties?.provisioningState ?? "")) return { kind: "waiting" };
      const kept = keptBy?.(seen);
      if (kept !== undefined) return { kind: "left", why: `${shown} is left: ${kept}` };
      const first = await before?.(seen, signal);
      const doing = `remove ${shown}`;
      const begun = first ?? (await beginChange(arm, { method: "DELETE", id, query }, doing, signal));
      this.#remember(runId, id, { change: begun === "begun" ? undefined : begun, failures });
      return { kind: "waiting" };
    } catch (error) {
      if (hasCode(error, "not-found")) return this.#gone(runId, id);
      if (hasCode(error, "throttled", "unavailable") && !(error instanceof ChangeFailed)) throw error;
      const why = this.failed(runId, id, error);
      return why === undefined ? { kind: "waiting" } : { kind: "left", why: `${shown} is left: ${why}` };
    }
  }

  #gone(runId: RunId, id: string): Removed {
    this.#memory.delete(keyOf(runId, id));
    return { kind: "gone" };
  }

  #recall(runId: RunId, id: string): Memory {
    return this.#memory.get(keyOf(runId, id)) ?? { failures: 0 };
  }

  #remember(runId: RunId, id: string, memory: Memory): void {
    const key = keyOf(runId, id);
    this.#memory.delete(key);
    this.#memory.set(key, memory);
    const [oldest] = this.#memory.keys();
    if (this.#memory.size > mostRemembered && oldest !== undefined) this.#memory.delete(oldest);
  }
}

function keyOf(runId: RunId, id: string): string {
  return `${runId} ${id.toLowerCase()}`;
}

/** A defect of ours is thrown on. */
function tellable(error: unknown): { readonly reason: string; readonly isFinal: boolean } {
  if (!(error instanceof FarsideError)) throw error;
  const isFinal = error instanceof ChangeFailed ? !error.isTransient : error.code === "forbidden";
  return { reason: error.message, isFinal };
}
