import { tagOf } from "../../core/disk-selection.ts";
import type { ScopeListing, TaggedVm } from "../../core/discovery-plan.ts";
import type { DiscoveryScope } from "../../core/discovery-scope.ts";
import { FarsideError } from "../../core/errors.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { addMs, epochMs, timestamp } from "../../core/timestamp.ts";
import type { Context } from "../context.ts";

export interface ListedScope extends ScopeListing {
  /** How many VMs it has, of whatever tags. */
  readonly vms: number;
  /** Why it was not listed to its end. */
  readonly error?: FarsideError;
  readonly notBefore?: Timestamp;
}

/**
 * Lists every scope. One that fails tells nothing, and does not keep the others from being listed. Memory: the tagged VMs.
 * `deadline`: by the monotonic clock.
 */
export async function listScopes(
  context: Context,
  deadline: number,
  signal: AbortSignal,
): Promise<readonly ListedScope[]> {
  const listed: ListedScope[] = [];
  for (const scope of context.discovery.scopes) {
    try {
      listed.push(await listScope(context, scope, deadline, signal));
    } catch (error) {
      if (!(error instanceof FarsideError) || signal.aborted) throw error;
      const { retryAfterMs } = error;
      const notBefore =
        retryAfterMs === undefined ? {} : { notBefore: addMs(timestamp(context.clock.now()), retryAfterMs) };
      context.log.log("error", "discovery-scope-failed", { scope, code: error.code, error: error.message });
      listed.push({ scope, isComplete: false, tagged: [], vms: 0, error, ...notBefore });
    }
  }
  return listed;
}

async function listScope(
  context: Context,
  scope: DiscoveryScope,
  deadline: number,
  signal: AbortSignal,
): Promise<ListedScope> {
  const { directory, tag } = context.discovery;
  await waitAsTold(context, scope, signal);
  const tagged: TaggedVm[] = [];
  let vms = 0;
  for await (const { tags, ...vm } of directory.list(scope, signal)) {
    vms++;
    const value = tagOf(tags, tag);
    if (value !== undefined) tagged.push({ ...vm, value });
    if (context.clock.monotonic() <= deadline) continue;
    throw new FarsideError(
      "deadline-passed",
      `The list of the VMs of ${scope} did not come to its end in time, after ${vms}: name its resource groups in FARSIDE_DISCOVER instead.`,
    );
  }
  return { scope, isComplete: true, tagged, vms };
}

/** A service that asked to slow down at the look before is not asked again before its time. */
async function waitAsTold(context: Context, scope: DiscoveryScope, signal: AbortSignal): Promise<void> {
  const before = (await context.catalog.discoveryReports.get(scope.toLowerCase(), signal))?.value.notBefore;
  if (before === undefined) return;
  const retryAfterMs = epochMs(before) - context.clock.now();
  if (retryAfterMs <= 0 || retryAfterMs > longestWaitMs) return;
  const message = `The service asked not to be asked for the VMs of ${scope} before ${before}.`;
  throw new FarsideError("throttled", message, { retryAfterMs });
}

/** Beyond it, a clock was wrong. */
const longestWaitMs = 24 * 3_600_000;
