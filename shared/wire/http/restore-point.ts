/** Restore points over HTTP, and on the command line, which reads them from the vault itself. */
import { z } from "zod";
import type { RestorePoint } from "../../core/restore-point.ts";
import {
  bytesSchema,
  countSchema,
  diskNameSchema,
  instantSchema,
  pointIdSchema,
  policyNameSchema,
  runIdSchema,
  vmNameSchema,
} from "./names.ts";
import { consistencyFields } from "./run.ts";

export const restorePointViewSchema = z.object({
  restorePointId: pointIdSchema,
  parentRestorePointId: pointIdSchema.optional(),
  vm: vmNameSchema,
  vmId: z.string(),
  runId: runIdSchema,
  trigger: z.enum(["schedule", "on-demand"]),
  policy: policyNameSchema.optional(),
  snapshotAt: instantSchema,
  committedAt: instantSchema,
  ...consistencyFields,
  safetyNote: z.string().optional(),
  disks: z.array(
    z.object({
      name: diskNameSchema,
      lun: z.int().min(0).optional(),
      role: z.enum(["os", "data"]),
      sizeBytes: bytesSchema,
      mode: z.enum(["full", "incremental"]),
      changedBytes: bytesSchema,
      newChunks: countSchema,
      storedBytes: bytesSchema,
    }),
  ),
});
export type RestorePointView = z.output<typeof restorePointViewSchema>;

export function restorePointView(point: RestorePoint): RestorePointView {
  const { consistency, safety } = point;
  return {
    restorePointId: point.pointId,
    ...(point.parentPointId === undefined ? {} : { parentRestorePointId: point.parentPointId }),
    vm: point.vm,
    vmId: point.vmId,
    runId: point.runId,
    trigger: point.trigger,
    ...(point.policy === undefined ? {} : { policy: point.policy }),
    snapshotAt: point.snapshotAt,
    committedAt: point.committedAt,
    consistency: consistency.achieved,
    consistencyRequested: consistency.requested,
    ...(consistency.note === undefined ? {} : { consistencyNote: consistency.note }),
    ...(consistency.frozenAt === undefined ? {} : { frozenAt: consistency.frozenAt }),
    ...(consistency.thawedAt === undefined ? {} : { thawedAt: consistency.thawedAt }),
    skewMs: consistency.skewMs,
    usnRollbackRisk: safety.usnRollbackRisk,
    ...(safety.note === undefined ? {} : { safetyNote: safety.note }),
    disks: point.disks.map((disk) => ({ ...disk })),
  };
}
