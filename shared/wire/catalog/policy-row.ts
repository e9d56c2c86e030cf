import { z } from "zod";
import type { Policy, Retention, Schedule } from "../../core/policy.ts";
import { consistencyLevel, count, policyName, record, timestamp } from "./schema.ts";

const schedule = record<Schedule>({ cron: z.string(), timeZone: z.string(), jitterSeconds: count });

const retention = record<Retention>({
  keepLast: count.exactOptional(),
  keepHourly: count.exactOptional(),
  keepDaily: count.exactOptional(),
  keepWeekly: count.exactOptional(),
  keepMonthly: count.exactOptional(),
  keepYearly: count.exactOptional(),
});

export const policyRow = record<Policy>({
  name: policyName,
  schedule: schedule.exactOptional(),
  retention,
  consistency: record<Policy["consistency"]>({ wanted: consistencyLevel, least: consistencyLevel }),
  rpoSeconds: count,
  retryWindowSeconds: count,
  freezeTtlSeconds: count,
  shutdown: z.boolean().exactOptional(),
  pauseReplication: z.boolean(),
  usnRollback: z.enum(["warn", "fail"]),
  instantRestoreDays: count.exactOptional(),
  createdAt: timestamp,
  updatedAt: timestamp,
});
