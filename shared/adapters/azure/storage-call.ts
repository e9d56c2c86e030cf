/**
 * One call of a storage service: bounded in time, its failure as a FarsideError.
 *
 * Retries are the SDK's alone: 4 tries of one request, on 500, 503 and network errors, waiting 0, 0.5 and 1.5 s (tables, by
 * another SDK: 0.5, 1 and 2 s, and 429 too). Over all of them stands `callLimitMs`: a server that is frozen and says nothing
 * fails the call after that time and is not asked again here; the queue repeats the step.
 */
import { FarsideError } from "../../core/errors.ts";

/** A call, with its retries, that moves up to 8 MiB. */
export const callLimitMs = 30_000;

/** For clients of blobs and queues. */
export const retryOptions = { maxTries: 4, retryDelayInMs: 500, maxRetryDelayInMs: 8000 } as const;

/** For clients of tables. */
export const tableRetryOptions = { maxRetries: 3, retryDelayInMs: 500, maxRetryDelayInMs: 8000 } as const;

/** `what` names the thing in messages, without a SAS: "the page blob https://…". */
export async function storageCall<T>(
  what: string,
  signal: AbortSignal,
  call: (bounded: AbortSignal) => Promise<T>,
  limitMs: number = callLimitMs,
): Promise<T> {
  signal.throwIfAborted();
  const limit = AbortSignal.timeout(limitMs);
  try {
    return await call(AbortSignal.any([signal, limit]));
  } catch (error) {
    signal.throwIfAborted();
    if (error instanceof FarsideError) throw error;
    if (limit.aborted) {
      throw new FarsideError("unavailable", `There was no answer about ${what} within ${limitMs / 1000} s.`, {
        cause: error,
      });
    }
    throw storageError(error, what);
  }
}

/** What the service answered: its status and its own code. Undefined for what is no answer (network, defects). */
export function answerOf(error: unknown): { readonly status: number; readonly code: string } | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { statusCode, code, details } = error as Record<string, unknown>;
  if (typeof statusCode !== "number") return undefined;
  const found = [details, at(details, "odataError"), error].map((place) => at(place, "code") ?? at(place, "errorCode"));
  const named = found.find((text) => typeof text === "string" && text !== "");
  return { status: statusCode, code: typeof named === "string" ? named : typeof code === "string" ? code : "" };
}

/** Whether the service itself answered so. */
export function isAnswer(error: unknown, status: number, ...codes: readonly string[]): boolean {
  const answer = answerOf(error);
  return answer?.status === status && (codes.length === 0 || codes.includes(answer.code));
}

/** The service's text is left out of messages: in an authentication failure it quotes what was signed. */
function storageError(error: unknown, what: string): FarsideError {
  const answer = answerOf(error);
  if (answer === undefined) {
    const code = at(error, "code");
    if (typeof code === "string" || isStreamFailure(error)) {
      const reason = typeof code === "string" ? code : "the answer was cut short";
      return new FarsideError("unavailable", `The connection failed while asking about ${what} (${reason}).`, {
        cause: error,
      });
    }
    return new FarsideError("internal", `Asking about ${what} failed: ${nameOf(error)}.`, { cause: error });
  }
  const { status, code } = answer;
  const said = `the service answered ${status}${code === "" ? "" : ` ${code}`} about ${what}`;
  const options = { cause: error, details: { status, code } };
  if (status === 429 || (status === 503 && code === "ServerBusy")) {
    const retryAfterMs = retryAfter(error);
    return new FarsideError("throttled", `${capital(said)}: it asks to slow down.`, {
      ...options,
      ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    });
  }
  if (status >= 500 || status === 408) return new FarsideError("unavailable", `${capital(said)}.`, options);
  if (status === 401 || status === 403) {
    return new FarsideError(
      "forbidden",
      `${capital(said)}: give the app's identity or key access to it, and check the account's network rules.`,
      options,
    );
  }
  if (status === 404) return new FarsideError("not-found", `${capital(said)}: it does not exist.`, options);
  if (status === 409 || status === 412) return new FarsideError("conflict", `${capital(said)}.`, options);
  return new FarsideError("internal", `${capital(said)}.`, options);
}

function retryAfter(error: unknown): number | undefined {
  const headers = at(at(error, "response"), "headers");
  const get = at(headers, "get");
  if (typeof get !== "function") return undefined;
  const seconds = Number(Reflect.apply(get, headers, ["retry-after"]));
  return Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : undefined;
}

/** Bodies that end early do not carry a code. */
function isStreamFailure(error: unknown): boolean {
  return (
    error instanceof Error && /aborted|premature|drains before|corruption failure|socket hang up/i.test(error.message)
  );
}

function at(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? (value as Record<string, unknown>)[name] : undefined;
}

const nameOf = (error: unknown): string => (error instanceof Error ? error.name : typeof error);
const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);
