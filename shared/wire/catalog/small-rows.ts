/** Rows whose types have no home in core: a catalog adapter checks them against the port's types. */
import { z } from "zod";
import { policyName, runId, timestamp } from "./schema.ts";

export const scheduleCursorRow = z.strictObject({ policy: policyName, slot: timestamp });

export const sourceAccountRow = z.strictObject({
  account: z.string().min(1),
  diff: z.enum(["exact", "wrong"]),
  foundBy: z.enum(["probe", "sample"]),
  probedAt: timestamp,
  note: z.string().exactOptional(),
});

export const idempotentRequestRow = z.strictObject({
  requestId: z.string().min(1),
  bodyHash: z.string().exactOptional(),
  runId,
  createdAt: timestamp,
});
