import { z } from "zod";
import type { DiscoveryProblem, DiscoveryReport } from "../../core/discovery-report.ts";
import { count, errorRecord, record, timestamp } from "./schema.ts";

export const discoveryReportRow = record<DiscoveryReport>({
  scope: z.string().min(1),
  at: timestamp,
  completeAt: timestamp.exactOptional(),
  vms: count,
  tagged: count,
  error: errorRecord.exactOptional(),
  notBefore: timestamp.exactOptional(),
  problems: z.array(record<DiscoveryProblem>({ resourceId: z.string(), problem: z.string() })),
  problemsInAll: count,
});
