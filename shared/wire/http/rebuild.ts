/** Making the tables anew from the vault, over HTTP. */
import { z } from "zod";
import { vmIdSchema } from "./names.ts";

export const rebuildBodySchema = z.strictObject({
  after: vmIdSchema.optional().describe("What `next` said in the answer before: goes on behind it."),
});

export const rebuildViewSchema = z.object({
  policies: z.array(z.string()).describe("Made."),
  vms: z.array(z.string()).describe("Made."),
  restorePoints: z.int().describe("How many were made."),
  unchanged: z.int().describe("Rows that stood already and say the same."),
  differing: z
    .array(z.object({ kind: z.enum(["policy", "vm", "restore-point"]), name: z.string() }))
    .describe("Rows that stood already and say something else than the vault: they were left as they are."),
  notes: z.array(z.object({ vmId: z.string(), note: z.string() })).describe("What could not be made, and what to do."),
  next: z.string().optional().describe("There is more: ask again with it as `after`."),
});
export type RebuildView = z.output<typeof rebuildViewSchema>;
