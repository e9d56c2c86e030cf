/**
 * Errors over HTTP: RFC 9457 problem documents. `type` and `code` are stable (docs/errors.md); the details of an error
 * are members of the document, such as `runId` where a run is active already.
 */
import { z } from "zod";
import type { ErrorCode } from "../../core/errors.ts";
import { errorCodes, errorRecord } from "../../core/errors.ts";

const fieldErrorSchema = z.strictObject({
  path: z.string().describe("Where in the body or the query, e.g. source.disks[0].url; empty for the whole."),
  message: z.string(),
});
export type FieldError = z.output<typeof fieldErrorSchema>;

export const problemSchema = z
  .looseObject({
    type: z.string().describe("urn:farside:problem: and the code."),
    title: z.string(),
    status: z.int(),
    detail: z.string(),
    code: z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]),
    errors: z.array(fieldErrorSchema).optional(),
    runId: z.string().optional().describe("With code run-active: the run that is active."),
  })
  .describe("A problem document (RFC 9457).");
export type Problem = z.output<typeof problemSchema>;

const problemTypePrefix = "urn:farside:problem:";

/** Unknown errors tell their message to the log only: it may hold what the caller must not see. */
export function problemOf(error: unknown): Problem {
  const { code, message, details } = errorRecord(error);
  const { httpStatus, title } = errorCodes[code];
  return {
    ...(code === "internal" ? {} : details),
    type: `${problemTypePrefix}${code}`,
    title,
    status: httpStatus,
    detail: code === "internal" ? "Something went wrong that should not: see the log of the app." : message,
    code,
  };
}
