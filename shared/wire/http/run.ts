/** Runs over HTTP: one flat shape for every kind and state, so that scripts read the same field everywhere. */
import { z } from "zod";
import { consistencyLevels } from "../../core/consistency.ts";
import type { BackupRun, RestoreDisk, RestoreRun, Run, RunEvent } from "../../core/run.ts";
import {
  bytesSchema,
  countSchema,
  diskNameSchema,
  instantSchema,
  pointIdSchema,
  policyNameSchema,
  runIdSchema,
  runStateSchema,
  vmNameSchema,
} from "./names.ts";

const diskSchema = z.object({
  name: diskNameSchema,
  sizeBytes: bytesSchema,
  changedBytes: bytesSchema.optional().describe("Backup: what the source says may have changed."),
  readBytes: bytesSchema.optional(),
  newChunks: countSchema.optional().describe("Backup: chunks that were not in the vault before."),
  newBytes: bytesSchema.optional(),
  storedBytes: bytesSchema.optional().describe("Backup: what the new chunks take in the vault."),
  mode: z.enum(["full", "incremental"]).optional(),
  method: z.enum(["all", "diff", "compare"]).optional(),
  url: z
    .string()
    .optional()
    .describe("Restore: the page blob that is written; to the platform, the ARM id of the disk that is made."),
  restoredBytes: bytesSchema.optional(),
  restorePointId: pointIdSchema.optional().describe("Restore: the point that this disk is of."),
  writtenBytes: bytesSchema.optional().describe("Revert: bytes that differed, and so were written or cleared."),
  kept: z
    .string()
    .optional()
    .describe("Restore with overwrite: where the disk that stood here is kept until the run has ended."),
});

const eventSchema = z.object({
  at: instantSchema,
  name: z.string(),
  message: z.string(),
  fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
});

export const runErrorSchema = z.object({
  code: z.string(),
  message: z.string(),
  details: z.record(z.string(), z.unknown()).optional(),
});

/** What an achieved consistency looks like, in runs and in restore points. */
export const consistencyFields = {
  consistency: z.enum(consistencyLevels).optional().describe("What was achieved; absent before the snapshots."),
  consistencyRequested: z.enum(consistencyLevels).optional(),
  consistencyNote: z.string().optional(),
  frozenAt: instantSchema.optional(),
  thawedAt: instantSchema.optional(),
  skewMs: z.number().min(0).optional().describe("Between the first and the last snapshot of the set."),
  usnRollbackRisk: z.boolean().optional(),
};

const text = z.string().optional();

const targetSchema = z.object({
  kind: z.enum(["container", "revert", "managed-disks", "managed-vm", "swap-disks"]),
  url: text.describe("Container: its URL."),
  overwrite: z.boolean().optional(),
  resourceGroup: text.describe("Managed disks and VMs: where they are made."),
  location: text,
  name: text.describe("Managed VM: the new VM's name."),
  size: text,
  subnetId: text,
  networkSecurityGroupId: text,
  keepPrivateAddresses: z.boolean().optional(),
  leaveStopped: z.boolean().optional(),
  mayStop: z.boolean().optional().describe("Exchange of disks: a running VM may be stopped for it."),
  sku: text,
  zone: text,
  diskEncryptionSetId: text,
  namePrefix: text,
});

export const runViewSchema = z.object({
  runId: runIdSchema,
  kind: z.enum(["backup", "restore"]),
  vm: vmNameSchema,
  vmId: z.string(),
  state: runStateSchema,
  trigger: z.enum(["schedule", "on-demand"]).optional(),
  policy: policyNameSchema.optional(),
  slot: instantSchema.optional().describe("The instant of the schedule that this run stands for."),
  ...consistencyFields,
  restorePointId: pointIdSchema.optional().describe("Backup: the point made. Restore: the point restored."),
  snapshotAt: instantSchema.optional(),
  attempt: countSchema.optional(),
  notBefore: instantSchema.optional(),
  waiting: z.object({ condition: z.string(), tries: countSchema }).optional(),
  target: targetSchema.optional(),
  safety: z
    .array(z.object({ disk: diskNameSchema, snapshot: z.string(), wayBack: z.string() }))
    .optional()
    .describe("Revert: what each disk held before, kept until you remove it, and the command that puts it back."),
  made: z
    .array(
      z.object({
        kind: z.enum(["disk", "network-interface", "public-address", "vm", "detached-disk"]),
        id: z.string(),
      }),
    )
    .optional()
    .describe(
      "Restore to the platform: what it made, and disks that it detached. Where it did not succeed, it is taken back.",
    ),
  notes: z.array(z.string()).optional().describe("Restore to the platform: what is not as it was, in sentences."),
  progress: z.object({ windows: countSchema, windowsDone: countSchema }).optional(),
  createdAt: instantSchema,
  startedAt: instantSchema.optional(),
  cancelRequestedAt: instantSchema.optional(),
  finishedAt: instantSchema.optional(),
  error: runErrorSchema.optional(),
  disks: z.array(diskSchema),
  events: z.array(eventSchema).optional(),
});
export type RunView = z.output<typeof runViewSchema>;

export function runView(run: Run, events?: readonly RunEvent[]): RunView {
  const view = run.kind === "backup" ? backupView(run) : restoreView(run);
  const listed = events?.map(({ at, name, message, fields }) => ({ at, name, message, fields: { ...fields } }));
  return listed === undefined ? view : { ...view, events: listed };
}

/** Fields without a value are left out, never null. */
function defined<T extends object>(fields: { [K in keyof T]: T[K] | undefined }): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>;
}

type Common = Pick<RunView, "runId" | "kind" | "vm" | "vmId" | "state" | "createdAt"> & Partial<RunView>;

function commonView(run: Run): Common {
  return {
    runId: run.runId,
    kind: run.kind,
    vm: run.vm,
    vmId: run.vmId,
    state: run.state,
    createdAt: run.createdAt,
    ...defined<RunView>({
      startedAt: run.startedAt,
      cancelRequestedAt: run.cancelRequestedAt,
      finishedAt: "finishedAt" in run ? run.finishedAt : undefined,
      error: "error" in run ? { ...run.error } : undefined,
      progress: "progress" in run && run.progress !== undefined ? { ...run.progress } : undefined,
    } as RunView),
  };
}

function backupView(run: BackupRun): RunView {
  const set = "set" in run ? run.set : undefined;
  return {
    ...commonView(run),
    disks: "disks" in run ? run.disks.map((disk) => ({ ...disk })) : [],
    ...defined<RunView>({
      trigger: run.trigger.kind,
      policy: run.policy,
      slot: run.trigger.kind === "schedule" ? run.trigger.slot : undefined,
      attempt: run.attempt,
      consistency: set?.consistency.achieved,
      consistencyRequested: set?.consistency.requested ?? run.wanted,
      consistencyNote: set?.consistency.note,
      frozenAt: set?.consistency.frozenAt,
      thawedAt: set?.consistency.thawedAt,
      skewMs: set?.consistency.skewMs,
      usnRollbackRisk: set?.safety.usnRollbackRisk,
      snapshotAt: set?.snapshotAt,
      restorePointId: run.state === "succeeded" ? run.restorePointId : undefined,
      notBefore: run.state === "queued" ? run.notBefore : undefined,
      waiting: run.state === "queued" && run.waiting !== undefined ? { ...run.waiting } : undefined,
    } as RunView),
  };
}

function restoreDiskView(run: RestoreRun, disk: RestoreDisk): RunView["disks"][number] {
  const { name, sizeBytes, url, restoredBytes, writtenBytes, kept, pointId = run.pointId } = disk;
  return {
    name,
    sizeBytes,
    url,
    restoredBytes,
    restorePointId: pointId,
    ...(writtenBytes === undefined ? {} : { writtenBytes }),
    ...(kept === undefined ? {} : { kept }),
  };
}

function restoreView(run: RestoreRun): RunView {
  const { machine } = run;
  return {
    ...commonView(run),
    disks: run.disks.map((disk) => restoreDiskView(run, disk)),
    restorePointId: run.pointId,
    target: { ...run.target },
    ...(machine === undefined
      ? {}
      : { snapshotAt: machine.snapshotAt, made: machine.made.map((one) => ({ ...one })), notes: [...machine.notes] }),
    ...(run.safety === undefined
      ? {}
      : { safety: run.safety.map(({ disk, snapshot, wayBack }) => ({ disk, snapshot, wayBack })) }),
  };
}
