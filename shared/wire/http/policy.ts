/** Policies over HTTP: the body that sets one, and the answer that shows one. */
import { z } from "zod";
import { consistencyLevels } from "../../core/consistency.ts";
import type { Policy } from "../../core/policy.ts";
import { instantSchema, policyNameSchema } from "./names.ts";

const keep = z.int().min(0).max(100_000);
const day = 86_400;

const scheduleSchema = z.strictObject({
  cron: z
    .string()
    .min(1)
    .max(200)
    .describe("Five fields (minute hour day month weekday), or six with seconds before them."),
  timeZone: z.string().min(1).max(100).default("UTC").describe("An IANA name such as Europe/Berlin."),
  jitterSeconds: z
    .int()
    .min(0)
    .max(day)
    .default(0)
    .describe("The VMs of the policy are spread over this many seconds after the instant."),
});

const retentionSchema = z
  .strictObject({
    keepLast: keep.optional(),
    keepHourly: keep.optional(),
    keepDaily: keep.optional(),
    keepWeekly: keep.optional(),
    keepMonthly: keep.optional(),
    keepYearly: keep.optional(),
  })
  .describe("How many restore points are kept of each kind; at least one number is above zero.");

const levelSchema = z.enum(consistencyLevels);
const consistencySchema = z.strictObject({
  wanted: levelSchema.default("application"),
  least: levelSchema.default("crash").describe("A backup that achieves less than this fails."),
});

/** What PUT takes. Everything but the retention has a default. */
export const policyBodySchema = z.strictObject({
  schedule: scheduleSchema.optional().describe("Without one, the policy's VMs are backed up only on demand."),
  retention: retentionSchema,
  consistency: consistencySchema.prefault({}),
  rpoSeconds: z
    .int()
    .min(60)
    .max(366 * day)
    .default(26 * 3600)
    .describe("The oldest the newest restore point may become before the VM counts as late."),
  retryWindowSeconds: z
    .int()
    .min(0)
    .max(7 * day)
    .default(2 * 3600)
    .describe("How long a run may be put off while its VM is not safe to back up."),
  freezeTtlSeconds: z
    .int()
    .min(1)
    .max(600)
    .default(60)
    .describe("The guest thaws by itself after this long, whatever happens."),
  shutdown: z
    .boolean()
    .default(false)
    .describe("Stop (deallocate) a VM that runs for its snapshots, and always start it again. Managed disks only."),
  pauseReplication: z.boolean().default(false),
  usnRollback: z.enum(["warn", "fail"]).default("warn"),
  instantRestoreDays: z
    .int()
    .min(0)
    .max(30)
    .default(0)
    .describe("For so many days a restore point's snapshots stay at the source too, for quick restores."),
});
export type PolicyBody = z.output<typeof policyBodySchema>;

/** What GET answers. */
export const policyViewSchema = z.object({
  ...policyBodySchema.shape,
  name: policyNameSchema,
  createdAt: instantSchema,
  updatedAt: instantSchema,
});
export type PolicyView = z.output<typeof policyViewSchema>;

export function policyView(policy: Policy): PolicyView {
  const { schedule, consistency, instantRestoreDays = 0, ...rest } = policy;
  return {
    ...rest,
    shutdown: policy.shutdown ?? false,
    instantRestoreDays,
    retention: { ...policy.retention },
    consistency: { ...consistency },
    ...(schedule === undefined ? {} : { schedule: { ...schedule } }),
  };
}
