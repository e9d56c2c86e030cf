/**
 * How a row's schema is tied to its core type.
 *
 * `record<T>` asks for a schema of **every** property of T, optional ones as `exactOptional()`. A property that core gains
 * and the schema does not know is an error of the compiler, and one that a row has and the schema does not know is an error
 * when it is read: nothing is ever dropped in silence.
 */
import { z } from "zod";
import { consistencyLevels } from "../../core/consistency.ts";
import { errorCodes, type ErrorCode, type ErrorRecord } from "../../core/errors.ts";
import {
  parseAttemptId,
  parseDiskName,
  parsePointId,
  parsePolicyName,
  parseRunId,
  parseVmId,
  parseVmName,
} from "../../core/ids.ts";
import type { ObjectId } from "../../core/vault/manifest.ts";
import { parseResourceGroupId, parseVmResourceId } from "../../core/resource-id.ts";
import { parseTimestamp } from "../../core/timestamp.ts";

type Shape<T> = {
  readonly [K in keyof T]-?: Partial<Pick<T, K>> extends Pick<T, K>
    ? z.ZodExactOptional<z.ZodType<Exclude<T[K], undefined>>>
    : z.ZodType<T[K]>;
};

export function record<T>(shape: Shape<T>): z.ZodType<T> {
  return z.strictObject(shape) as unknown as z.ZodType<T>;
}

/** A union whose members differ by the literal (or enum) under `key`; errors then name that property, not every member. */
export function variants<T>(key: keyof T & string, members: readonly z.ZodType<T>[]): z.ZodType<T> {
  // zod wants to see in the type that each member carries the key; a member made by `record` does, behind its type.
  return z.discriminatedUnion(key, members as unknown as [z.ZodObject, ...z.ZodObject[]]) as unknown as z.ZodType<T>;
}

/** A text that one of core's `parse…` accepts, with that parser's own message where it does not. */
function parsed<T>(parse: (text: string) => T): z.ZodType<T> {
  return z.string().transform((text, context) => {
    try {
      return parse(text);
    } catch (error) {
      context.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      return z.NEVER;
    }
  });
}

export const vmName = parsed(parseVmName);
export const vmId = parsed(parseVmId);
export const diskName = parsed(parseDiskName);
export const policyName = parsed(parsePolicyName);
export const runId = parsed(parseRunId);
export const attemptId = parsed(parseAttemptId);
export const pointId = parsed(parsePointId);
export const vmResourceId = parsed(parseVmResourceId);
export const resourceGroupId = parsed(parseResourceGroupId);
export const timestamp = parsed(parseTimestamp);

export const objectId = z
  .string()
  .regex(/^[0-9a-f]{64}$/, "is not an object id: 64 lower-case hex digits") as unknown as z.ZodType<ObjectId>;
export const count = z.int().nonnegative();
export const consistencyLevel = z.enum(consistencyLevels);
export const diskRole = z.enum(["os", "data"]);
export const diskMode = z.enum(["full", "incremental"]);
export const textMap = z.record(z.string(), z.string());

const errorCode = z.enum(Object.keys(errorCodes) as [ErrorCode, ...ErrorCode[]]);
export const errorRecord = record<ErrorRecord>({
  code: errorCode,
  message: z.string(),
  details: z.record(z.string(), z.unknown()).exactOptional(),
});
