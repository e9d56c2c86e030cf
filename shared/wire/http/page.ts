/** Lists: a page of items, and the continuation that gives the next. */
import { z } from "zod";
import { runStateSchema, vmNameSchema } from "./names.ts";

export const pageQuerySchema = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  continuation: z.string().min(1).max(4096).optional(),
});

export const runsQuerySchema = pageQuerySchema.extend({
  vm: vmNameSchema.optional(),
  state: runStateSchema.optional(),
  kind: z.enum(["backup", "restore"]).optional(),
});

export const noQuerySchema = z.strictObject({});

export function pageSchema<T extends z.ZodType>(items: T) {
  return z.object({
    items: z.array(items),
    continuation: z.string().optional().describe("Give it back to get the next page; absent at the end."),
  });
}

export const idempotencyKeySchema = z
  .string()
  .regex(/^[\x21-\x7e]{1,200}$/, "Use 1 to 200 printable characters without blanks.");
