/** What a run's row holds of its snapshots and of what was moved. */
import { z } from "zod";
import type { DiskProgress, DiskSnapshot, Downtime, SnapshotSet, WindowProgress } from "../../core/run.ts";
import type { ManifestConsistency, ManifestSafety } from "../../core/vault/manifest.ts";
import {
  attemptId,
  consistencyLevel,
  count,
  diskMode,
  diskName,
  diskRole,
  objectId,
  pointId,
  record,
  textMap,
  timestamp,
} from "./schema.ts";

export const consistency = record<ManifestConsistency>({
  requested: consistencyLevel,
  achieved: consistencyLevel,
  frozenAt: timestamp.exactOptional(),
  thawedAt: timestamp.exactOptional(),
  skewMs: z.number().nonnegative(),
  note: z.string().exactOptional(),
});

export const safety = record<ManifestSafety>({ usnRollbackRisk: z.boolean(), note: z.string().exactOptional() });

const diskSnapshot = record<DiskSnapshot>({
  disk: diskName,
  lun: count.exactOptional(),
  role: diskRole,
  sizeBytes: count,
  logicalSectorSize: count,
  identity: z.string(),
  snapshotAt: timestamp,
  reference: textMap,
  hasGuestState: z.literal(true).exactOptional(),
});

export const downtime = record<Downtime>({
  stopAskedAt: timestamp,
  startAskedAt: timestamp.exactOptional(),
  runningAt: timestamp.exactOptional(),
});

export const snapshotSet = record<SnapshotSet>({
  attemptId,
  pointId,
  source: z.enum(["page-blob", "managed"]),
  configuration: objectId,
  sessionStartedAt: timestamp,
  snapshotAt: timestamp,
  consistency,
  safety,
  snapshots: z.array(diskSnapshot),
  parentPointId: pointId.exactOptional(),
  downtime: downtime.exactOptional(),
});

export const diskProgress = record<DiskProgress>({
  name: diskName,
  sizeBytes: count,
  mode: diskMode,
  method: z.enum(["all", "diff", "compare"]),
  changedBytes: count,
  readBytes: count,
  newChunks: count,
  newBytes: count,
  storedBytes: count,
});

export const windowProgress = record<WindowProgress>({ windows: count, windowsDone: count });
