/**
 * The one error type of the project and the table of its codes.
 *
 * 1. A code is stable: it is the `type` of an HTTP problem, the `code` of a `--json` error, and what a failed run records.
 * 2. `advice` says what a caller may do: `retry` (transient), `give-up` (this run cannot succeed), `halt` (nothing like
 *    it can succeed until a person acts).
 * 3. Messages say what, which thing, and what to do. They never hold a secret, a key or a SAS (invariant I8).
 */
export type Advice = "retry" | "give-up" | "halt";

interface CodeFacts {
  readonly advice: Advice;
  /** Exit code of the command line; see docs/errors.md. */
  readonly exitCode: 1 | 2 | 3 | 4 | 5 | 130;
  readonly httpStatus: number;
  readonly title: string;
}

export const errorCodes = {
  "bad-input": { advice: "give-up", exitCode: 2, httpStatus: 400, title: "The input is not valid" },
  "bad-configuration": { advice: "halt", exitCode: 2, httpStatus: 500, title: "The configuration is not valid" },
  "not-found": { advice: "give-up", exitCode: 3, httpStatus: 404, title: "There is no such thing" },
  unauthorized: { advice: "halt", exitCode: 1, httpStatus: 401, title: "The key or identity was not accepted" },
  "already-exists": { advice: "give-up", exitCode: 4, httpStatus: 409, title: "It exists already" },
  "target-exists": { advice: "give-up", exitCode: 4, httpStatus: 409, title: "The restore target exists already" },
  "target-full": { advice: "give-up", exitCode: 1, httpStatus: 507, title: "The restore target has no space left" },
  "in-use": { advice: "give-up", exitCode: 4, httpStatus: 409, title: "It is still in use" },
  "run-active": { advice: "give-up", exitCode: 1, httpStatus: 409, title: "A run is active for this VM" },
  refused: { advice: "give-up", exitCode: 4, httpStatus: 409, title: "Refused to protect data" },
  "passphrase-missing": {
    advice: "halt",
    exitCode: 4,
    httpStatus: 500,
    title: "No passphrase was given for the vault",
  },
  "passphrase-wrong": { advice: "halt", exitCode: 4, httpStatus: 500, title: "The passphrase opens no key slot" },
  "vault-version-unknown": {
    advice: "halt",
    exitCode: 1,
    httpStatus: 500,
    title: "The vault has a version unknown to this release",
  },
  "vault-corrupt": { advice: "halt", exitCode: 5, httpStatus: 500, title: "Damaged data in the vault" },
  "source-corrupt": { advice: "give-up", exitCode: 1, httpStatus: 502, title: "The source answered what cannot be" },
  "image-corrupt": {
    advice: "give-up",
    exitCode: 1,
    httpStatus: 500,
    title: "What lies in the disk image is damaged",
  },
  "not-supported": { advice: "give-up", exitCode: 1, httpStatus: 501, title: "This release cannot read it" },
  throttled: { advice: "retry", exitCode: 1, httpStatus: 503, title: "The service asked to slow down" },
  unavailable: { advice: "retry", exitCode: 1, httpStatus: 503, title: "The service did not answer" },
  forbidden: { advice: "give-up", exitCode: 1, httpStatus: 502, title: "The service refused the access" },
  conflict: { advice: "retry", exitCode: 1, httpStatus: 409, title: "Somebody else changed it at the same time" },
  "not-ready": { advice: "retry", exitCode: 1, httpStatus: 503, title: "The VM is not safe to back up now" },
  "guest-failed": { advice: "retry", exitCode: 1, httpStatus: 502, title: "The guest could not be frozen" },
  "consistency-not-met": {
    advice: "give-up",
    exitCode: 1,
    httpStatus: 502,
    title: "The least accepted consistency was not achieved",
  },
  "snapshot-failed": { advice: "retry", exitCode: 1, httpStatus: 502, title: "A snapshot could not be taken" },
  "session-too-old": { advice: "give-up", exitCode: 1, httpStatus: 500, title: "The session is too old to commit" },
  "deadline-passed": { advice: "retry", exitCode: 1, httpStatus: 503, title: "The step ran out of its time" },
  poisoned: { advice: "give-up", exitCode: 1, httpStatus: 500, title: "A step failed at each of its deliveries" },
  cancelled: { advice: "give-up", exitCode: 1, httpStatus: 409, title: "The run was cancelled" },
  interrupted: { advice: "give-up", exitCode: 130, httpStatus: 499, title: "Interrupted" },
  internal: { advice: "halt", exitCode: 1, httpStatus: 500, title: "A defect in this program" },
} as const satisfies Record<string, CodeFacts>;

export type ErrorCode = keyof typeof errorCodes;

/** Details are public: plain values that help to find the thing; no secrets. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

export interface FarsideErrorOptions {
  readonly cause?: unknown;
  readonly details?: ErrorDetails;
  /** What a service asked for by Retry-After, in milliseconds. */
  readonly retryAfterMs?: number;
}

export class FarsideError extends Error {
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  readonly retryAfterMs: number | undefined;

  constructor(code: ErrorCode, message: string, options: FarsideErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "FarsideError";
    this.code = code;
    this.details = options.details ?? {};
    this.retryAfterMs = options.retryAfterMs;
  }

  get advice(): Advice {
    return errorCodes[this.code].advice;
  }
}

/** An error as it crosses a queue, a row or an HTTP body: data, without stack or cause. */
export interface ErrorRecord {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: ErrorDetails;
}

/** What anything thrown looks like as data. Unknown errors become `internal`, with their message. */
export function errorRecord(error: unknown): ErrorRecord {
  if (error instanceof FarsideError) {
    return Object.keys(error.details).length === 0
      ? { code: error.code, message: error.message }
      : { code: error.code, message: error.message, details: error.details };
  }
  return { code: "internal", message: error instanceof Error ? error.message : String(error) };
}

export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is FarsideError {
  return error instanceof FarsideError && codes.includes(error.code);
}
