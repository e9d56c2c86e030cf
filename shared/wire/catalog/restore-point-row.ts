import { z } from "zod";
import type { RestorePoint, RestorePointDisk } from "../../core/restore-point.ts";
import {
  count,
  diskMode,
  diskName,
  diskRole,
  pointId,
  policyName,
  record,
  runId,
  timestamp,
  vmId,
  vmName,
} from "./schema.ts";
import { consistency, safety } from "./snapshot-set.ts";

const restorePointDisk = record<RestorePointDisk>({
  name: diskName,
  lun: count.exactOptional(),
  role: diskRole,
  sizeBytes: count,
  mode: diskMode,
  changedBytes: count,
  newChunks: count,
  storedBytes: count,
});

export const restorePointRow = record<RestorePoint>({
  pointId,
  vmId,
  vm: vmName,
  runId,
  parentPointId: pointId.exactOptional(),
  trigger: z.enum(["schedule", "on-demand"]),
  policy: policyName.exactOptional(),
  snapshotAt: timestamp,
  committedAt: timestamp,
  consistency,
  safety,
  disks: z.array(restorePointDisk),
});
