/** The body that asks for a restore. */
import { z } from "zod";
import { managedDisksSchema, managedVmSchema, swapDisksSchema } from "./machine-target.ts";
import { diskNameSchema, pointIdSchema } from "./names.ts";
import { containerUrlSchema } from "./vm.ts";

const restoreTargetSchema = z.discriminatedUnion("kind", [
  z
    .strictObject({
      kind: z.literal("container"),
      url: containerUrlSchema,
      overwrite: z
        .boolean()
        .default(false)
        .describe(
          "Replace what stands there. It is kept as a snapshot until the restore has succeeded, and put back where it has not.",
        ),
    })
    .describe("Page blobs <container>/<disk>.vhd."),
  z
    .strictObject({ kind: z.literal("revert") })
    .describe(
      "The VM's own disks, in place: only what differs is written. The VM must be stopped; safety snapshots are taken first.",
    ),
  managedDisksSchema,
  managedVmSchema,
  swapDisksSchema,
]);

export const restoreBodySchema = z.strictObject({
  restorePointId: z
    .union([z.literal("latest"), pointIdSchema])
    .optional()
    .describe("A restore point's id; the newest where neither this nor `at` is given."),
  at: z.iso.datetime({ offset: true }).optional().describe("The newest restore point at or before this time."),
  disks: z
    .array(
      z.union([diskNameSchema, z.strictObject({ name: diskNameSchema, restorePointId: pointIdSchema.optional() })]),
    )
    .min(1)
    .max(65)
    .optional()
    .describe("Only these disks; all where absent. One may be of a restore point of its own."),
  acceptMixedPoints: z
    .boolean()
    .default(false)
    .describe("Restore disks of different instants together: a state in which the VM never was."),
  acceptUsnRollbackRisk: z
    .boolean()
    .default(false)
    .describe("Restore a domain controller's restore point that is marked with the risk of USN rollback all the same."),
  target: restoreTargetSchema,
});
export type RestoreBody = z.output<typeof restoreBodySchema>;
