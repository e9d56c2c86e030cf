import { z } from "zod";
import type {
  BackupRun,
  BackupTrigger,
  Freeze,
  Halt,
  MachineDrive,
  MachineFacts,
  PendingPlatform,
  PendingSnapshots,
  Rested,
  RestoreDisk,
  RestoreRun,
  RestoreTarget,
  Run,
  RunEvent,
  SafetySnapshot,
  Waiting,
} from "../../core/run.ts";
import {
  attemptId,
  consistencyLevel,
  count,
  diskName,
  diskRole,
  errorRecord,
  objectId,
  pointId,
  policyName,
  record,
  runId,
  textMap,
  timestamp,
  variants,
  vmId,
  vmName,
  vmResourceId,
} from "./schema.ts";
import { machineTargets, madeResource } from "./machine-target.ts";
import { diskProgress, downtime, snapshotSet, windowProgress } from "./snapshot-set.ts";
import { vmSource } from "./vm-row.ts";

type BackupIn<State extends BackupRun["state"]> = Extract<BackupRun, { readonly state: State }>;
type RestoreIn<State extends RestoreRun["state"]> = Extract<RestoreRun, { readonly state: State }>;

const cleanUp = z.enum(["pending", "done"]);
const failedOrCancelled = z.enum(["failed", "cancelled"]);

const trigger = variants<BackupTrigger>("kind", [
  record<Extract<BackupTrigger, { kind: "schedule" }>>({
    kind: z.literal("schedule"),
    policy: policyName,
    slot: timestamp,
  }),
  record<Extract<BackupTrigger, { kind: "on-demand" }>>({ kind: z.literal("on-demand") }),
]);

const waiting = record<Waiting>({ condition: z.string(), tries: count });
const freeze = record<Freeze>({ guestUrl: z.string(), token: attemptId, requestedAt: timestamp, ttlSeconds: count });

const halt = record<Halt>({
  source: vmSource,
  token: attemptId,
  requestedAt: timestamp,
  doubtUntil: timestamp.exactOptional(),
  released: z.literal(true).exactOptional(),
  startAskedAt: timestamp.exactOptional(),
  operation: z.string().exactOptional(),
  failedStarts: count,
  lookAt: timestamp,
});

const rested = record<Rested>({ source: vmSource, atRest: z.boolean(), downtime });

const pendingSnapshots = record<PendingSnapshots>({
  stage: z.literal("stopping").exactOptional(),
  operation: z.string(),
  lookAt: timestamp,
  powerState: z.enum(["running", "stopped", "unknown"]),
  configuration: objectId,
  sessionStartedAt: timestamp,
  parentPointId: pointId.exactOptional(),
});

const runFacts = { runId, vm: vmName, vmId, createdAt: timestamp, cancelRequestedAt: timestamp.exactOptional() };

const backupFacts = {
  ...runFacts,
  kind: z.literal("backup"),
  trigger,
  policy: policyName,
  wanted: consistencyLevel,
  least: consistencyLevel,
  retryUntil: timestamp,
  attempt: count,
  stops: count.exactOptional(),
  startedAt: timestamp.exactOptional(),
};

const backupRun = variants<BackupRun>("state", [
  record<BackupIn<"queued">>({
    ...backupFacts,
    state: z.literal("queued"),
    notBefore: timestamp,
    waiting: waiting.exactOptional(),
    freeze: freeze.exactOptional(),
    halt: halt.exactOptional(),
  }),
  record<BackupIn<"snapshotting">>({
    ...backupFacts,
    state: z.literal("snapshotting"),
    leaseUntil: timestamp,
    attemptId,
    waited: waiting.exactOptional(),
    freeze: freeze.exactOptional(),
    halt: halt.exactOptional(),
    rested: rested.exactOptional(),
    pending: pendingSnapshots.exactOptional(),
  }),
  record<BackupIn<"copying">>({
    ...backupFacts,
    state: z.literal("copying"),
    set: snapshotSet,
    freeze: freeze.exactOptional(),
    halt: halt.exactOptional(),
    progress: windowProgress.exactOptional(),
    disks: z.array(diskProgress),
  }),
  record<BackupIn<"committing">>({
    ...backupFacts,
    state: z.literal("committing"),
    set: snapshotSet,
    disks: z.array(diskProgress),
    freeze: freeze.exactOptional(),
    halt: halt.exactOptional(),
  }),
  record<BackupIn<"succeeded">>({
    ...backupFacts,
    state: z.literal("succeeded"),
    finishedAt: timestamp,
    set: snapshotSet,
    restorePointId: pointId,
    disks: z.array(diskProgress),
    freeze: freeze.exactOptional(),
    halt: halt.exactOptional(),
    cleanUp,
  }),
  record<BackupIn<"failed" | "cancelled">>({
    ...backupFacts,
    state: failedOrCancelled,
    finishedAt: timestamp,
    error: errorRecord,
    set: snapshotSet.exactOptional(),
    disks: z.array(diskProgress),
    freeze: freeze.exactOptional(),
    halt: halt.exactOptional(),
    cleanUp,
  }),
]);

const restoreTarget = variants<RestoreTarget>("kind", [
  record<Extract<RestoreTarget, { kind: "container" }>>({
    kind: z.literal("container"),
    url: z.string(),
    overwrite: z.literal(true).exactOptional(),
  }),
  record<Extract<RestoreTarget, { kind: "revert" }>>({ kind: z.literal("revert") }),
  ...machineTargets,
]);
const restoreDisk = record<RestoreDisk>({
  name: diskName,
  sizeBytes: count,
  url: z.string(),
  restoredBytes: count,
  pointId: pointId.exactOptional(),
  writtenBytes: count.exactOptional(),
  kept: z.string().exactOptional(),
  drive: record<MachineDrive>({ role: diskRole, lun: count.exactOptional(), logicalSectorSize: count }).exactOptional(),
});
const safetySnapshot = record<SafetySnapshot>({
  disk: diskName,
  snapshot: z.string(),
  reference: textMap,
  wayBack: z.string(),
});

const machineFacts = record<MachineFacts>({
  snapshotAt: timestamp,
  osType: z.enum(["linux", "windows"]).exactOptional(),
  resourceId: vmResourceId.exactOptional(),
  notes: z.array(z.string()),
  made: z.array(madeResource),
});
const pendingPlatform = record<PendingPlatform>({
  operation: z.string().exactOptional(),
  lookAt: timestamp,
  leaseUntil: timestamp,
});

const restoreFacts = {
  ...runFacts,
  kind: z.literal("restore"),
  pointId,
  target: restoreTarget,
  disks: z.array(restoreDisk),
  startedAt: timestamp.exactOptional(),
  safety: z.array(safetySnapshot).exactOptional(),
  machine: machineFacts.exactOptional(),
};

const restoreRun = variants<RestoreRun>("state", [
  record<RestoreIn<"queued">>({ ...restoreFacts, state: z.literal("queued") }),
  record<RestoreIn<"preparing">>({
    ...restoreFacts,
    state: z.literal("preparing"),
    pending: pendingPlatform.exactOptional(),
  }),
  record<RestoreIn<"copying">>({ ...restoreFacts, state: z.literal("copying"), progress: windowProgress }),
  record<RestoreIn<"finishing">>({
    ...restoreFacts,
    state: z.literal("finishing"),
    progress: windowProgress,
    pending: pendingPlatform.exactOptional(),
  }),
  record<RestoreIn<"succeeded">>({ ...restoreFacts, state: z.literal("succeeded"), finishedAt: timestamp, cleanUp }),
  record<RestoreIn<"failed" | "cancelled">>({
    ...restoreFacts,
    state: failedOrCancelled,
    finishedAt: timestamp,
    error: errorRecord,
    cleanUp,
    cleanUpAt: timestamp.exactOptional(),
  }),
]);

export const runRow = variants<Run>("kind", [backupRun, restoreRun]);

export const runEventRow = record<RunEvent>({
  runId,
  at: timestamp,
  name: z.string(),
  message: z.string(),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});
