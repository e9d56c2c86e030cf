/**
 * What the errors of Azure Resource Manager mean: of a request, and of an operation that failed at its end.
 *
 * 1. "Not there" is believed only with ARM's own code.
 * 2. ARM's text is passed on, for it tells what to do ("the VM agent is not ready"), but cut short, and never with a query string in it (I8).
 * 3. 429 and 503 carry the time that the service asked for.
 */
import { FarsideError, hasCode, type ErrorCode } from "../../../core/errors.ts";

interface ArmFault {
  readonly status?: number;
  readonly code?: string;
  readonly message: string;
  readonly retryAfterMs?: number;
  /** An operation that was accepted and failed at its end. */
  readonly hasFailed: boolean;
}

/** Documented codes of compute and of ARM itself; what is not here goes by its status. */
const meanings: Readonly<Record<string, ErrorCode>> = {
  ResourceNotFound: "not-found",
  ResourceGroupNotFound: "not-found",
  SubscriptionNotFound: "not-found",
  NotFound: "not-found",
  ParentResourceNotFound: "not-found",
  AuthorizationFailed: "forbidden",
  LinkedAuthorizationFailed: "forbidden",
  AuthenticationFailed: "forbidden",
  InvalidAuthenticationToken: "forbidden",
  ScopeLocked: "forbidden",
  RequestDisallowedByPolicy: "forbidden",
  // The guest could not be brought to rest. After some tries the policy may accept less.
  VMAgentStatusCommunicationError: "guest-failed",
  VMRestorePointInternalError: "snapshot-failed",
  DiskRestorePointClientError: "snapshot-failed",
  DiskRestorePointUsedByCustomer: "conflict",
  TooManyActiveSnapshotSasUris: "conflict",
  AnotherOperationInProgress: "conflict",
  Conflict: "conflict",
  OperationNotAllowed: "conflict",
  AllocationFailed: "unavailable",
  InternalError: "unavailable",
  InternalExecutionError: "unavailable",
  InternalServerError: "unavailable",
};

/** `doing` completes "Could not …". The reason of an aborted signal and a FarsideError stay as they are. */
export function armError(error: unknown, doing: string, signal: AbortSignal): unknown {
  if (error instanceof FarsideError) return error;
  if (signal.aborted) return signal.reason;
  const fault = faultOf(error);
  if (fault === undefined) return error;
  const shown = [fault.status, fault.code, fault.message].filter((part) => part !== undefined && part !== "").join(" ");
  return new FarsideError(meaning(fault), `Could not ${doing}: ${shown || "no answer"}.`.replace(/\.\.$/, "."), {
    details: {
      ...(fault.status === undefined ? {} : { status: fault.status }),
      ...(fault.code === undefined ? {} : { code: fault.code }),
      ...(fault.hasFailed ? { operationFailed: true } : {}),
    },
    cause: new Error(shown),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
  });
}

/** Whether ARM could not be asked, or did not answer now: nothing is known of what was asked about. */
export function isNoAnswer(error: unknown): error is FarsideError {
  return hasCode(error, "throttled", "unavailable") && error.details["operationFailed"] !== true;
}

function meaning({ status, code, hasFailed }: ArmFault): ErrorCode {
  if (status === 429 || code === "TooManyRequests") return "throttled";
  // Of VSS writers and scripts where the operation failed; where the request was refused, another point is being made, or there are 500.
  if (code === "VMRestorePointClientError") return hasFailed ? "guest-failed" : "conflict";
  const known = code === undefined ? undefined : meanings[code];
  if (known !== undefined) return known;
  if (hasFailed) return "snapshot-failed";
  if (status === undefined || status === 404 || status === 408 || status >= 500) return "unavailable";
  if (status === 401 || status === 403) return "forbidden";
  if (status === 409 || status === 412) return "conflict";
  return "refused";
}

/** Undefined for what is neither of the service nor of the network: a defect. */
function faultOf(error: unknown): ArmFault | undefined {
  if (!(error instanceof Error)) return undefined;
  const { statusCode, code, details, response } = error as Partial<RestErrorShape> & Error;
  const inner = isObject(details) ? (isObject(details["error"]) ? details["error"] : details) : {};
  const status = typeof statusCode === "number" ? statusCode : undefined;
  const text = textOf(inner["message"]) ?? error.message;
  const message = clean(text);
  const retryAfterMs = retryAfter(response?.headers?.get?.("retry-after"));
  const failed = /^The long-running operation has failed(?:\. (\w+)\. )?/.exec(error.message);
  const told = textOf(inner["code"]) ?? code ?? failed?.[1];
  const isNetwork = error.name === "RestError" || error.name === "AbortError" || error.name === "TimeoutError";
  const isCredential = /Credential|AuthenticationRequired/.test(error.name);
  if (isCredential) return { status: 401, code: error.name, message: "", hasFailed: false };
  if (!isNetwork && failed === null && status === undefined) return undefined;
  return {
    ...(status === undefined ? {} : { status }),
    ...(told === undefined ? {} : { code: told }),
    message: status === undefined && failed === null ? "" : message,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    hasFailed: failed !== null,
  };
}

interface RestErrorShape {
  readonly statusCode: number;
  readonly code: string;
  readonly details: unknown;
  readonly response: { readonly headers?: { readonly get?: (name: string) => string | undefined } };
}

const longestText = 300;

function clean(text: string): string {
  return text.replaceAll(/\?\S*/g, "").replaceAll(/\s+/g, " ").trim().slice(0, longestText);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Seconds. */
function retryAfter(header: string | undefined): number | undefined {
  return header !== undefined && /^\d{1,6}$/.test(header.trim()) ? Number(header) * 1000 : undefined;
}
