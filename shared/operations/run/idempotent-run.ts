import { createHash } from "node:crypto";
import { FarsideError } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { Run } from "../../core/run.ts";
import { timestamp } from "../../core/timestamp.ts";
import type { Context } from "../context.ts";

interface IdempotentRequest {
  readonly what: string;
  readonly key: string | undefined;
  /** What was asked for, where that is more than `what` says. */
  readonly body?: string;
}

/**
 * The run that an idempotency key stands for, if any; `run` is undefined where its request died before the row. With `propose`,
 * notes that run for the key, unless somebody has noted one before. Throws `already-exists` where the key stands for another body: a
 * caller who got the other run would believe that it does what was asked for now.
 */
export async function idempotentRun(
  context: Context,
  request: IdempotentRequest,
  propose: RunId | undefined,
  signal: AbortSignal,
): Promise<{ readonly runId: RunId; readonly run: Run | undefined } | undefined> {
  if (request.key === undefined) return undefined;
  const { idempotentRequests } = context.catalog;
  const bodyHash = request.body === undefined ? undefined : createHash("sha256").update(request.body).digest("hex");
  const requestId = createHash("sha256").update(`${request.what}\0${request.key}`).digest("hex");
  if (propose !== undefined) {
    const createdAt = timestamp(context.clock.now());
    const hash = bodyHash === undefined ? {} : { bodyHash };
    await idempotentRequests.insert({ requestId, ...hash, runId: propose, createdAt }, signal);
  }
  const noted = (await idempotentRequests.get(requestId, signal))?.value;
  if (noted === undefined) return undefined;
  if (noted.bodyHash !== undefined && noted.bodyHash !== bodyHash) {
    const message = "This idempotency key stands for another request already: give each request a key of its own.";
    throw new FarsideError("already-exists", message, { details: { runId: noted.runId } });
  }
  return { runId: noted.runId, run: (await context.catalog.runs.get(noted.runId, signal))?.value };
}
