/** What the platform refused, as an answer: its code, and what this project makes of it. */
import { armError } from "../../shared/adapters/azure/managed/arm-errors.ts";
import { FarsideError } from "../../shared/core/errors.ts";

export interface Refusal {
  /** `409 OperationNotAllowed`. */
  readonly shown: string;
  /** The project's own code. */
  readonly meaning: string;
  /** Whether a step would be tried again. */
  readonly isRetried: boolean;
}

/** Undefined where the call worked. Throws what is no answer of the platform. */
export async function refusalOf(call: () => PromiseLike<unknown>, signal: AbortSignal): Promise<Refusal | undefined> {
  try {
    await call();
    return undefined;
  } catch (error) {
    const told = armError(error, "try it", signal);
    if (!(told instanceof FarsideError)) throw told;
    const { status, code } = told.details;
    // Neither: nobody answered.
    if (status === undefined && code === undefined) throw told;
    return {
      shown: [status, code].flatMap((part) => (isShown(part) ? [part] : [])).join(" "),
      meaning: told.code,
      isRetried: told.advice === "retry",
    };
  }
}

function isShown(part: unknown): part is string | number {
  return typeof part === "string" || typeof part === "number";
}
