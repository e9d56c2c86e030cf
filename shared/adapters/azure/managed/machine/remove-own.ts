/**
 * Removes what a restore made, a little at each call: each removal is begun and looked at again until the thing is gone.
 *
 * 1. Only what bears the run's tag is removed. What somebody uses meanwhile is left, and told.
 * 2. A lock, a missing permission, or a removal that failed again and again leaves the thing, with the platform's reason. The failures are
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
/** What is at it now may take some minutes: an interface is kept for its VM for three after that is gone ("NicReservedForAnotherVm"). */
const mostConflicts = 30;
const mostRemembered = 1000;

interface Memory {
  readonly change?: BegunChange | undefined;
  readonly failures: number;
  readonly left?: readonly string[] | undefined;
}

export class OwnRemover {
  readonly #memory = new Map<string, Memory>();

  /** Throws what the change that `began` told of failed with. */
  async isUnderWay(arm: ArmConnection, runId: RunId, id: string, signal: AbortSignal): Promise<boolean> {
    const { change, failures } = this.#recall(runId, id);
    if (change === undefined) return false;
    // Told once: where it has failed, the next look is at the thing itself.
    this.#remember(runId, id, { failures });
    const isRunning = await isUnderWay(arm, change, signal);
    if (isRunning) this.began(runId, id, change);
    return isRunning;
  }

  began(runId: RunId, id: string, change: BegunChange | undefined): void {
    this.#remember(runId, id, { change, failures: this.#recall(runId, id).failures });
  }

  /** Counts what fails here, by the run and the thing. `undefined` where it may be tried again. */
  failed(runId: RunId, id: string, error: unknown): string | undefined {
    const known = tellable(error);
    // The service is not there, or asks to slow down: that says nothing about the thing.
    if (known.isPassing) throw error;
    const { failures } = this.#recall(runId, id);
    this.#remember(runId, id, { failures: failures + 1 });
    const most = known.isConflict ? mostConflicts : mostFailures;
    return failures + 1 < most && !known.isFinal ? undefined : known.reason;
  }

  /** What was given up, until all else is done: the disks that show it may be gone by then. Undefined: nothing was. */
  givenUp(runId: RunId, id: string): readonly string[] | undefined {
    return this.#recall(runId, id).left;
  }

  giveUp(runId: RunId, id: string, left: readonly string[]): void {
    this.#remember(runId, id, { failures: this.#recall(runId, id).failures, left });
  }

  forget(runId: RunId, id: string): void {
    this.#memory.delete(keyOf(runId, id));
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
      if (await this.isUnderWay(arm, runId, id, signal)) return { kind: "waiting" };
      const seen = await see(signal);
      if (seen === undefined || !isOwn(seen.tags, runId)) return this.#gone(runId, id);
      if (/^deleting$/i.test(seen.properties?.provisioningState ?? "")) return { kind: "waiting" };
      const kept = keptBy?.(seen);
      if (kept !== undefined) return { kind: "left", why: `${shown} is left: ${kept}` };
      const first = await before?.(seen, signal);
      const doing = `remove ${shown}`;
      const begun = first ?? (await beginChange(arm, { method: "DELETE", id, query }, doing, signal));
      this.began(runId, id, begun === "begun" ? undefined : begun);
      return { kind: "waiting" };
    } catch (error) {
      if (hasCode(error, "not-found")) return this.#gone(runId, id);
      const why = this.failed(runId, id, error);
      return why === undefined ? { kind: "waiting" } : { kind: "left", why: `${shown} is left: ${why}` };
    }
  }

  #gone(runId: RunId, id: string): Removed {
    this.forget(runId, id);
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
function tellable(error: unknown) {
  if (!(error instanceof FarsideError)) throw error;
  const isPassing = hasCode(error, "throttled", "unavailable");
  const isFinal = error instanceof ChangeFailed ? !error.isTransient : error.code === "forbidden";
  const isConflict =
    error.code === "conflict" || /^Nic(?:InUse|ReservedForAnotherVm)$/.test(String(error.details["code"]));
  return { reason: error.message, isFinal, isPassing, isConflict };
}
