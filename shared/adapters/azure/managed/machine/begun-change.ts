/**
 * Changes that take the platform its time: sent, not waited for, and looked at again by the URL that the service gave. The URL is no
 * secret: whoever asks there needs the token as well.
 */
import { z } from "zod";
import { FarsideError, hasCode } from "../../../../core/errors.ts";
import type { ArmAnswer, ArmChange, ArmConnection } from "../arm-connection.ts";
import { requireParts } from "../arm-connection.ts";
import { armError } from "../arm-errors.ts";

export const begunChange = z.object({
  id: z.string(),
  /** Completes "Could not …". */
  doing: z.string(),
  kind: z.enum(["status", "result"]),
  url: z.string(),
});
export type BegunChange = z.output<typeof begunChange>;

/** Undefined where the service names no operation: then the resource itself shows how it goes. */
export async function beginChange(
  arm: ArmConnection,
  change: ArmChange,
  doing: string,
  signal: AbortSignal,
): Promise<BegunChange | undefined> {
  const { operation } = await arm.change(change, doing, signal);
  return operation === undefined ? undefined : { id: change.id, doing, ...operation };
}

/**
 * Throws what it failed with. One that the service has forgotten has ended: what came of it is seen at the resource. Where only a result
 * is given, that cannot be told from one that failed for something that is not there: that counts as a failure that may pass.
 */
export async function isUnderWay(
  arm: ArmConnection,
  { id, doing, kind, url }: BegunChange,
  signal: AbortSignal,
): Promise<boolean> {
  let answer: ArmAnswer;
  try {
    answer = await arm.lookAt(requireParts(id).subscriptionId, url, doing, signal);
  } catch (error) {
    if (kind === "status" && hasCode(error, "not-found")) return false;
    if (kind === "result" && hasCode(error, "not-found")) throw new ChangeFailed(error, true);
    throw kind === "result" && hasFailed(error) ? failure(error) : error;
  }
  if (kind === "result") return answer.status === 202;
  const { status, error } = parseStatus(answer.body, doing);
  if (/^(?:failed|cancell?ed)$/i.test(status)) {
    const told = new Error(`The long-running operation has failed. ${status}. `);
    throw failure(armError(Object.assign(told, { details: { error } }), doing, signal));
  }
  return !/^succeeded$/i.test(status);
}

/** Whether it is worth to begin it once more. */
export class ChangeFailed extends FarsideError {
  readonly isTransient: boolean;

  constructor(error: FarsideError, isTransient: boolean) {
    super(isTransient || error.advice === "retry" ? "refused" : error.code, error.message, {
      details: error.details,
      cause: error,
    });
    this.isTransient = isTransient;
  }
}

/** ARM's codes of what may go well the next time (the troubleshooting pages of virtual machines, and "Common errors" of Azure Resource Manager). */
const transient = new Set([
  "AllocationFailed",
  "ZonalAllocationFailed",
  "AnotherOperationInProgress",
  "Conflict",
  "InternalError",
  "InternalExecutionError",
  "InternalServerError",
  "NetworkingInternalOperationError",
  "OperationNotAllowed",
  "OperationPreempted",
  "RetryableError",
  "ServiceUnavailable",
  "TooManyRequests",
]);

/** To ask once more for the quota that lacks, which has a code of those, gives the same answer. */
function failure(error: unknown): unknown {
  if (!(error instanceof FarsideError)) return error;
  const { code } = error.details;
  return new ChangeFailed(error, typeof code === "string" && transient.has(code) && !/quota/i.test(error.message));
}

/** Where the result is asked for, what failed and an answer that did not come look alike but for the status. */
function hasFailed(error: unknown): boolean {
  const status = error instanceof FarsideError ? error.details["status"] : undefined;
  return typeof status === "number" && status >= 400 && status < 500 && status !== 408 && status !== 429;
}

const statusModel = z.object({
  status: z.string(),
  error: z.object({ code: z.string().optional(), message: z.string().optional() }).nullish(),
});

function parseStatus(body: unknown, doing: string) {
  const parsed = statusModel.safeParse(body);
  if (parsed.success) return parsed.data;
  throw new FarsideError("source-corrupt", `Could not ${doing}: Azure's answer about its operation is none.`);
}
