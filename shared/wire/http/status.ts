/** The fleet at a glance: every protected VM, its newest restore point against its RPO, and what runs now. */
import { z } from "zod";
import { discoveryReportSchema } from "./discovery.ts";
import { instantSchema, pointIdSchema, policyNameSchema, runIdSchema, runStateSchema, vmNameSchema } from "./names.ts";
import { runErrorSchema } from "./run.ts";

const vmStatusSchema = z.object({
  vm: vmNameSchema,
  vmId: z.string(),
  policy: policyNameSchema,
  protection: z
    .enum(["ok", "late", "none"])
    .describe(
      "ok: the newest restore point is younger than the RPO; late: older; none: there is no restore point yet.",
    ),
  lastRestorePointId: pointIdSchema.optional(),
  lastRestorePointAt: instantSchema.optional(),
  ageSeconds: z.int().optional(),
  rpoSeconds: z.int().optional(),
  nextBackupAt: instantSchema.optional(),
  down: z
    .object({ runId: runIdSchema, since: instantSchema, failedStarts: z.int() })
    .optional()
    .describe("The VM was stopped for its backup, and is not known to run again yet."),
  activeRun: z.object({ runId: runIdSchema, state: runStateSchema }).optional(),
  lastRun: z.object({ runId: runIdSchema, state: runStateSchema, error: runErrorSchema.optional() }).optional(),
});

export const statusSchema = z.object({
  at: instantSchema,
  summary: z.object({ vms: z.int(), ok: z.int(), late: z.int(), none: z.int(), running: z.int() }),
  vms: z.array(vmStatusSchema),
  discovery: z
    .array(discoveryReportSchema)
    .default([])
    .describe("How the last look for tagged VMs went, scope by scope."),
});
export type StatusView = z.output<typeof statusSchema>;
export type VmStatusView = z.output<typeof vmStatusSchema>;

export const healthSchema = z.object({
  status: z.enum(["healthy", "unhealthy"]),
  version: z.string(),
  problems: z
    .array(z.object({ setting: z.string(), problem: z.string() }))
    .describe("What is wrong with the app's settings; never a secret."),
});
export type HealthView = z.output<typeof healthSchema>;

export const vaultViewSchema = z.object({
  vaultId: z.string(),
  location: z.string(),
  createdAt: instantSchema,
  formatVersion: z.int(),
  chunkSizeBytes: z.int(),
  encryption: z.enum(["aes-256-gcm", "none"]),
  compression: z.string(),
});
export type VaultView = z.output<typeof vaultViewSchema>;

export const scheduleTickSchema = z.object({
  policiesDue: z.int().describe("Policies whose schedule had an instant since the last tick."),
  runsStarted: z.int(),
  runsRepeated: z.int().describe("Runs that another tick had made already."),
});
