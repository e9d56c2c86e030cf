/**
 * Slots: a slot is one instant of one policy's schedule.
 *
 * 1. A run's id comes from its VM and its slot alone, so that two ticks, two schedulers or a retry make one run.
 * 2. Each VM always has its own place in the jitter of its policy: its backups keep their distance from each other.
 * 3. A clock that was ahead for a while and came back leaves a cursor in the future; such a cursor says nothing.
 */
import { createHash } from "node:crypto";
import type { RunId, VmId } from "./ids.ts";
import { parseRunId } from "./ids.ts";
import type { Policy } from "./policy.ts";
import type { Timestamp } from "./timestamp.ts";
import { addMs, epochMs, msBetween, timestamp } from "./timestamp.ts";
import { ulid } from "./ulid.ts";

/** Clocks of two instances of the app may differ by this much without meaning anything. */
export const clockToleranceMs = 5 * 60_000;

const lookBackMs = 24 * 3_600_000;

export function scheduledRunId(vmId: VmId, slot: Timestamp): RunId {
  const tail = createHash("sha256").update(`${vmId}|${slot}`).digest().subarray(0, 10);
  return parseRunId(ulid(epochMs(slot), tail));
}

/** How long after its slot this VM starts, from 0 up to `jitterSeconds`. */
export function jitterMs(vmId: VmId, jitterSeconds: number): number {
  const place = createHash("sha256").update(`jitter|${vmId}`).digest().readUInt32BE(0) / 2 ** 32;
  return Math.floor(place * jitterSeconds * 1000);
}

/**
 * After which instant slots are still to be worked off. Without a cursor, from the policy's last change; a policy that was
 * removed and made again does not inherit what its namesake missed.
 */
export function openSince(policy: Policy, cursor: Timestamp | undefined, now: number): Timestamp {
  const since = cursor === undefined ? policy.updatedAt : cursor > policy.createdAt ? cursor : policy.createdAt;
  if (epochMs(since) <= now + clockToleranceMs) return since;
  // Runs that exist already are found by their ids, so looking back repeats nothing.
  return timestamp(now - lookBackMs);
}

/** How long from now until the VM's own place after the slot; 0 where that has passed. */
export function startDelayMs(slot: Timestamp, offsetMs: number, now: number): number {
  return Math.max(0, msBetween(timestamp(now), addMs(slot, offsetMs)));
}
