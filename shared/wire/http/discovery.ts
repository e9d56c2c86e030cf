/** Discovery by tag over HTTP: what one look found and did, and how the last look at each scope went. */
import { z } from "zod";
import type { DiscoveryReport } from "../../core/discovery-report.ts";
import { discoveryActions } from "../../core/discovery-finding.ts";
import { countSchema, instantSchema, policyNameSchema, vmNameSchema } from "./names.ts";

/** What POST takes. */
export const discoveryBodySchema = z.strictObject({
  dryRun: z.boolean().default(false).describe("Tells what it would do, and changes nothing."),
  acceptRemovals: z
    .boolean()
    .default(false)
    .describe("Confirms that many VMs of a scope lose their protection at once, which is refused else."),
});

const scopeErrorSchema = z.object({ code: z.string(), message: z.string() });

/** What POST answers. */
export const discoveryViewSchema = z.object({
  dryRun: z.boolean(),
  tag: z.string(),
  scopes: z.array(
    z.object({
      scope: z.string(),
      state: z.enum(["complete", "failed"]).describe("After one that failed, no VM of it loses its protection."),
      vms: countSchema,
      tagged: countSchema,
      error: scopeErrorSchema.optional(),
    }),
  ),
  findings: z.array(
    z.object({
      action: z.enum(discoveryActions),
      resourceId: z.string(),
      vm: vmNameSchema.optional(),
      policy: policyNameSchema.optional(),
      note: z.string().optional(),
    }),
  ),
  findingsInAll: countSchema,
  unchanged: countSchema.describe("VMs that are protected as their tags say."),
  left: countSchema.describe("Steps that the time did not suffice for; the next look does them."),
});
export type DiscoveryView = z.output<typeof discoveryViewSchema>;

/** Of one scope, in the status. */
export const discoveryReportSchema = z.object({
  scope: z.string(),
  at: instantSchema,
  completeAt: instantSchema.optional().describe("When it was last listed to its end."),
  vms: countSchema,
  tagged: countSchema,
  error: scopeErrorSchema.optional(),
  problems: z.array(z.object({ resourceId: z.string(), problem: z.string() })).describe("The first of them."),
  problemsInAll: countSchema,
});
export type DiscoveryReportView = z.output<typeof discoveryReportSchema>;

export function discoveryReportView(report: DiscoveryReport): DiscoveryReportView {
  const { notBefore: _, ...rest } = report;
  return { ...rest, problems: report.problems.map((problem) => ({ ...problem })) };
}
