/** Makes a resource of this run's where it is not there: asked twice, or by two at once, it is one. */
import { FarsideError } from "../../../../core/errors.ts";
import type { RunId } from "../../../../core/ids.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { beginChange, type BegunChange } from "./begun-change.ts";
import { hasBeenMade, isChanging, requireOwn, type SeenAny } from "./look-at.ts";
import type { Json } from "./plan-disk.ts";

export interface Wanted<T extends SeenAny> {
  readonly id: string;
  readonly query: Readonly<Record<string, string>>;
  /** "the disk", for messages. */
  readonly what: string;
  readonly doing: string;
  /** Asked for only where it is to be made. */
  readonly body: () => Promise<Json>;
  readonly see: () => Promise<T | undefined>;
}

export type Ensured<T> =
  | { readonly kind: "there"; readonly seen: T }
  /** Without a change: that of another call is under way. */
  | { readonly kind: "begun"; readonly change: BegunChange | undefined };

/** Throws `target-exists` where something stands there that is not this run's. */
export async function ensureMade<T extends SeenAny>(
  arm: ArmConnection,
  runId: RunId,
  { id, query, what, doing, body, see }: Wanted<T>,
  signal: AbortSignal,
): Promise<Ensured<T>> {
  const seen = await see();
  if (seen !== undefined) requireOwn(seen, runId, what);
  if (seen !== undefined && isChanging(seen)) return { kind: "begun", change: undefined };
  if (seen !== undefined && hasBeenMade(seen)) return { kind: "there", seen };
  const put = { method: "PUT", id, query, body: await body(), onlyNew: seen === undefined } as const;
  try {
    return { kind: "begun", change: await beginChange(arm, put, doing, signal) };
  } catch (error) {
    // Somebody was faster: the next look says who.
    if (error instanceof FarsideError && error.details["status"] === 412) return { kind: "begun", change: undefined };
    throw error;
  }
}
