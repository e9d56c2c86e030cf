/** The body that asks for a restore. */
import { z } from "zod";
import { diskNameSchema, pointIdSchema } from "./names.ts";
import { containerUrlSchema } from "./vm.ts";

export const restoreBodySchema = z.strictObject({
  restorePointId: z
    .union([z.literal("latest"), pointIdSchema])
    .optional()
    .describe("A restore point's id; the newest where neither this nor `at` is given."),
  at: z.iso.datetime({ offset: true }).optional().describe("The newest restore point at or before this time."),
  disks: z.array(diskNameSchema).min(1).max(65).optional().describe("Only these disks; all where absent."),
  acceptUsnRollbackRisk: z
    .boolean()
    .default(false)
    .describe("Restore a domain controller's restore point that is marked with the risk of USN rollback all the same."),
  target: z.strictObject({ kind: z.literal("container"), url: containerUrlSchema }),
});
export type RestoreBody = z.output<typeof restoreBodySchema>;
