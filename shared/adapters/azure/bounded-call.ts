/** A call of a service with a limit over everything: its tries, the waits between them and the body. */
import { FarsideError } from "../../core/errors.ts";

export interface BoundedCall {
  /** Completes "Could not …" in messages, without a secret: "read the page blob https://…". */
  readonly doing: string;
  readonly limitMs: number;
  /** Makes the service's own error ours. */
  readonly errorOf: (error: unknown, doing: string, signal: AbortSignal) => unknown;
}

/** A service that hangs fails the call with `unavailable` and is not asked again here; the queue repeats the step. */
export async function boundedCall<T>(
  { doing, limitMs, errorOf }: BoundedCall,
  signal: AbortSignal,
  call: (bounded: AbortSignal) => Promise<T>,
): Promise<T> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await call(AbortSignal.any([signal, limit]));
  } catch (error) {
    if (!limit.aborted || signal.aborted || error instanceof FarsideError) throw errorOf(error, doing, signal);
    throw new FarsideError(
      "unavailable",
      `Could not ${doing}: no answer within ${limitMs / 1000} s. It is tried again later.`,
    );
  }
}
