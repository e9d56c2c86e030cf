import { createHash } from "node:crypto";
import type { RunId } from "../../core/ids.ts";
import type { Run } from "../../core/run.ts";
import { timestamp } from "../../core/timestamp.ts";
import type { Context } from "../context.ts";

/**
 * The run that an idempotency key stands for, if any; `run` is undefined where its request died before the row. With `propose`,
 * notes that run for the key, unless somebody has noted one before.
 */
export async function idempotentRun(
  context: Context,
  request: { readonly what: string; readonly key: string | undefined },
  propose: RunId | undefined,
  signal: AbortSignal,
): Promise<{ readonly runId: RunId; readonly run: Run | undefined } | undefined> {
  if (request.key === undefined) return undefined;
  const { idempotentRequests } = context.catalog;
  const requestId = createHash("sha256").update(`${request.what}\0${request.key}`).digest("hex");
  if (propose !== undefined) {
    const createdAt = timestamp(context.clock.now());
    await idempotentRequests.insert({ requestId, runId: propose, createdAt }, signal);
  }
  const noted = (await idempotentRequests.get(requestId, signal))?.value;
  if (noted === undefined) return undefined;
  return { runId: noted.runId, run: (await context.catalog.runs.get(noted.runId, signal))?.value };
}
