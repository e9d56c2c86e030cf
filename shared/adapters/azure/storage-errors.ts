/**
 * What the storage service's errors mean.
 *
 * 1. "Not there" is believed only with the service's own code (x-ms-error-code): a 404 of anything in between proves nothing.
 * 2. The service's message is never passed on, nor the request: they may hold a signature or a SAS (invariant I8). Its code, status
 *    and request id are, and find the rest in the service's logs.
 */
import { RestError } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";

export interface StorageFault {
  /** HTTP; undefined where no answer came. */
  readonly status?: number;
  /** x-ms-error-code, or the code of the network error (ECONNRESET). */
  readonly code?: string;
  readonly requestId?: string;
  readonly retryAfterMs?: number;
}

/** The fault in what the client threw; undefined where it is none of the service or the network. */
export function storageFault(error: unknown): StorageFault | undefined {
  if (!(error instanceof RestError)) return undefined;
  const headers = error.response?.headers;
  const status = error.statusCode ?? error.response?.status;
  const code =
    headers?.get("x-ms-error-code") ?? detailCode(error.details) ?? (status === undefined ? error.code : undefined);
  const requestId = headers?.get("x-ms-request-id");
  const retryAfterMs = retryAfter(headers?.get("retry-after"));
  return {
    ...(status === undefined ? {} : { status }),
    ...(code === undefined ? {} : { code }),
    ...(requestId === undefined ? {} : { requestId }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  };
}

/** Whether the service itself says that the blob does not exist. */
export function isBlobAbsent(error: unknown): boolean {
  return storageFault(error)?.code === "BlobNotFound";
}

/** Whether a conditional create found somebody else's blob. */
export function isAlreadyThere(error: unknown): boolean {
  const code = storageFault(error)?.code;
  return code === "BlobAlreadyExists" || code === "ConditionNotMet";
}

export function isEtagChanged(error: unknown): boolean {
  return storageFault(error)?.code === "ConditionNotMet";
}

/**
 * The error to throw for what the client threw. `doing` completes "Could not …", without a secret: "read the blob x in <location>".
 * A FarsideError stays as it is, and so does the reason of an aborted signal.
 */
export function storageError(error: unknown, doing: string, signal: AbortSignal): unknown {
  if (error instanceof FarsideError) return error;
  if (signal.aborted) return signal.reason;
  const fault = storageFault(error) ?? {};
  const isNetwork =
    fault.status === undefined && (error instanceof RestError || isAborted(error) || hasNetworkCode(error));
  if (fault.status === undefined && !isNetwork) return credentialError(error, doing) ?? error;
  const { code, advice } = meaning(fault);
  const shown = [fault.status, fault.code].filter((part) => part !== undefined).join(" ") || "no answer";
  return new FarsideError(code, `Could not ${doing}: ${shown}. ${advice}`, {
    details: { ...fault },
    cause: new Error(shown),
    ...(fault.retryAfterMs === undefined ? {} : { retryAfterMs: fault.retryAfterMs }),
  });
}

function meaning({ status, code }: StorageFault): { readonly code: ErrorCode; readonly advice: string } {
  if (status === undefined) {
    return {
      code: "unavailable",
      advice: "The service did not answer: it is tried again later; check the address if this stays.",
    };
  }
  if (status === 429 || code === "ServerBusy") {
    return { code: "throttled", advice: "It is tried again later, more slowly." };
  }
  if (status === 401 || status === 403) {
    return {
      code: "forbidden",
      advice: "Check the identity's role, the key or the SAS, and the account's network rules.",
    };
  }
  if (code === "ContainerNotFound" || code === "ResourceNotFound" || code === "BlobNotFound") {
    return { code: "not-found", advice: "Check the account and the container." };
  }
  if (status === 404 || status === 408 || status >= 500 || code === "ContainerBeingDeleted") {
    return { code: "unavailable", advice: "It is tried again later." };
  }
  if (status === 409 || status === 412)
    return { code: "conflict", advice: "Somebody else changed it, or the service protects it." };
  if (code === "InvalidResourceName" || code === "OutOfRangeInput" || code === "InvalidUri") {
    return {
      code: "bad-configuration",
      advice: "Check the names: a container has 3 to 63 of a-z, 0-9 and single -.",
    };
  }
  return {
    code: "internal",
    advice: "The service does not take such a request: this is a defect, or the service differs.",
  };
}

/** Errors of the credential come from another package; their text may be long, but holds no secret. */
function credentialError(error: unknown, doing: string): FarsideError | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error.message.startsWith("Bearer token authentication is not permitted")) {
    return new FarsideError(
      "bad-configuration",
      `Could not ${doing}: an identity is used over https only. Give an https address, a key or a SAS.`,
    );
  }
  if (!/Credential|Authentication/.test(error.name)) return undefined;
  return new FarsideError(
    "forbidden",
    `Could not ${doing}: no credential was accepted (${error.name}). Sign in, or give a key or a SAS.`,
    {
      cause: new Error(error.name),
    },
  );
}

function isAborted(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}

function hasNetworkCode(error: unknown): boolean {
  const code = error instanceof Error ? (error as { code?: unknown }).code : undefined;
  return typeof code === "string" && /^(?:E[A-Z]+|ERR_STREAM_PREMATURE_CLOSE|ERR_SOCKET\w*)$/.test(code);
}

function detailCode(details: unknown): string | undefined {
  if (typeof details !== "object" || details === null) return undefined;
  const { errorCode, odataError } = details as { errorCode?: unknown; odataError?: { code?: unknown } };
  // Tables answer in the manner of OData.
  const code = errorCode ?? odataError?.code;
  return typeof code === "string" && code !== "" ? code : undefined;
}

/** Seconds or an HTTP date. */
function retryAfter(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d{1,6}$/.test(header.trim())) return undefined;
  return Number(header) * 1000;
}
