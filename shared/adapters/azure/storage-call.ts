/**
 * One call of a storage service with a limit over everything: its tries (storage-clients.ts), the waits between them and the body.
 * A service that hangs fails the call and is not asked again here; the queue repeats the step.
 */
import { boundedCall } from "./bounded-call.ts";
import { storageError, storageFault } from "./storage-errors.ts";

/** Above twice the limit of one try: a call that moves up to 8 MiB. */
const callLimitMs = 45_000;

/** `doing` completes "Could not …" in messages, without a secret: "read the page blob https://…". */
export function storageCall<T>(
  doing: string,
  signal: AbortSignal,
  call: (bounded: AbortSignal) => Promise<T>,
  limitMs: number = callLimitMs,
): Promise<T> {
  return boundedCall({ doing, limitMs, errorOf: storageError }, signal, call);
}

/** Whether the service itself answered so; a 404 of anything in between has none of its codes. */
export function isAnswer(error: unknown, ...codes: readonly string[]): boolean {
  const code = storageFault(error)?.code;
  return code !== undefined && codes.includes(code);
}
