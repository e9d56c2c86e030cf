/**
 * Which consistency a set of snapshots has, from what really happened around it.
 *
 * 1. Better than `crash` only where the guest said, after the last snapshot, that it is still frozen by us, within the time
 *    that the freeze lasts.
 * 2. A stopped machine writes nothing: its disks are whole file systems as its shutdown left them. Whether its applications had
 *    finished nobody can say, so it is `filesystem`, never `application`.
 */
import type { ConsistencyLevel } from "./consistency.ts";

export type FreezeFacts =
  /** The platform brought the disks to rest by itself, and said afterwards how far. */
  | { readonly kind: "platform"; readonly level: ConsistencyLevel; readonly note?: string }
  /** The guest was not asked. `stopped`: before and after the snapshots. */
  | {
      readonly kind: "none";
      readonly reason: "not-wanted" | "no-guest" | "stopped" | "stopped-then-started" | "given-up" | "half-reverted";
    }
  /** It was stopped for its snapshots. `atRest`: it lay still until the last one. */
  | { readonly kind: "halted"; readonly atRest: boolean }
  | {
      readonly kind: "frozen";
      readonly level: Exclude<ConsistencyLevel, "crash">;
      /** What the guest said after the last snapshot: frozen, and by whom where it says so. */
      readonly stillFrozen: boolean;
      readonly token?: string;
      readonly ownToken: string;
      /** From before the freeze was asked for until after that answer. */
      readonly elapsedMs: number;
      readonly ttlMs: number;
    };

export interface Achieved {
  readonly level: ConsistencyLevel;
  readonly note?: string;
}

export function achievedConsistency(facts: FreezeFacts): Achieved {
  switch (facts.kind) {
    case "none":
      return withoutFreeze(facts.reason);
    case "halted":
      return facts.atRest ? { level: "filesystem", note: haltedNote } : withoutFreeze("stopped-then-started");
    case "platform":
      return { level: facts.level, ...(facts.note === undefined ? {} : { note: facts.note }) };
    case "frozen": {
      const doubt = freezeDoubt(facts);
      return doubt === undefined ? { level: facts.level } : { level: "crash", note: doubt };
    }
    default:
      return facts satisfies never;
  }
}

/** The guest is told to shut down as if somebody had asked at its console; Azure's own article on it says that the platform does not wait for ever. */
const haltedNote =
  "The VM was shut down for its snapshots: its disks were at rest. The platform asks the guest to shut down and ends it by force where that takes too long; which of the two it was, it does not say.";

function withoutFreeze(reason: Extract<FreezeFacts, { kind: "none" }>["reason"]): Achieved {
  switch (reason) {
    case "not-wanted":
      return { level: "crash" };
    case "no-guest":
      return { level: "crash", note: "No guest agent is known for this VM, so nothing could be frozen." };
    case "stopped":
      return { level: "filesystem", note: "The VM was stopped: its disks were at rest and nothing was frozen." };
    case "stopped-then-started":
      return { level: "crash", note: "The VM was started while its snapshots were taken." };
    case "half-reverted":
      return {
        level: "crash",
        note: "A revert of these disks did not come to its end before: they may be of two times, a state in which the VM never was.",
      };
    case "given-up":
      return { level: "crash", note: "The guest could not be frozen in several tries." };
    default:
      return reason satisfies never;
  }
}

/** Why the snapshots cannot be trusted to lie within the freeze; undefined where they can. */
export function freezeDoubt(facts: Extract<FreezeFacts, { kind: "frozen" }>): string | undefined {
  if (!facts.stillFrozen) return "The guest had thawed before the last snapshot was taken.";
  if (facts.token !== undefined && facts.token !== facts.ownToken) return "The guest was frozen by somebody else.";
  if (facts.elapsedMs >= facts.ttlMs) return "The snapshots took longer than the freeze lasts.";
  return undefined;
}
