/** Names and ids as they come in over HTTP: strings to the outside, checked by the same parsers as everywhere. */
import { z } from "zod";
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, PointId, PolicyName, RunId, VmId, VmName } from "../../core/ids.ts";
import { parseDiskName, parsePointId, parsePolicyName, parseRunId, parseVmId, parseVmName } from "../../core/ids.ts";
import { parseResourceGroupId, type ResourceGroupId } from "../../core/resource-id.ts";
import { runStates } from "../../core/run.ts";

const nameFacts = { minLength: 1, maxLength: 64, pattern: "^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9_-])?$" };
const ulidFacts = { pattern: "^[0-7][0-9A-HJKMNP-TV-Z]{25}$" };

/** The parser's own message becomes the field's, so that a name is refused in the same words everywhere. */
export function parsed<T extends string>(
  parse: (text: string) => T,
  facts: Readonly<Record<string, unknown>>,
): z.ZodType<T, string> {
  return z
    .string()
    .superRefine((text, check) => {
      try {
        parse(text);
      } catch (error) {
        if (!(error instanceof FarsideError)) throw error;
        check.addIssue({ code: "custom", message: error.message });
      }
    })
    .meta(facts) as unknown as z.ZodType<T, string>;
}

export const vmNameSchema: z.ZodType<VmName, string> = parsed(parseVmName, nameFacts);
export const diskNameSchema: z.ZodType<DiskName, string> = parsed(parseDiskName, nameFacts);
export const policyNameSchema: z.ZodType<PolicyName, string> = parsed(parsePolicyName, nameFacts);
export const runIdSchema: z.ZodType<RunId, string> = parsed(parseRunId, ulidFacts);
export const pointIdSchema: z.ZodType<PointId, string> = parsed(parsePointId, ulidFacts);

export const vmIdSchema: z.ZodType<VmId, string> = parsed(parseVmId, { minLength: 1, maxLength: 100 });

export const resourceGroupIdSchema: z.ZodType<ResourceGroupId, string> = parsed(parseResourceGroupId, {
  maxLength: 1024,
  description: "/subscriptions/<id>/resourceGroups/<name>",
});

export const runStateSchema = z.enum(runStates);

/** An instant in an answer: RFC 3339, UTC. */
export const instantSchema = z.iso.datetime();
export const bytesSchema = z.int().min(0);
export const countSchema = z.int().min(0);
