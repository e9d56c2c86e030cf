/**
 * The captured configuration of a VM (the document that a manifest's `configuration` names): what its source said of it, and under
 * `protection` how it was protected, so that the tables can be made anew from the vault.
 *
 * 1. Points written before `protection` was captured have none, or one of a later version: then it is absent here, never guessed at.
 * 2. No secrets: the rows hold none (a disk's URL is without SAS, the guest's without password).
 */
import { z } from "zod";
import type { Policy } from "../../core/policy.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import { policyRow } from "../catalog/policy-row.ts";
import { vmRow } from "../catalog/vm-row.ts";
import type { JsonObject } from "./document.ts";

export interface Protection {
  readonly vm: ProtectedVm;
  readonly policy: Policy;
}

const protectionSchema = z.object({ formatVersion: z.literal(1), vm: vmRow, policy: policyRow });

/** What is stored: the source's own facts with the protection beside them. */
export function capturedDocument(configuration: JsonObject, { vm, policy }: Protection): JsonObject {
  return { ...configuration, protection: { formatVersion: 1, vm, policy } };
}

export function parseProtection(document: JsonObject): Protection | undefined {
  const parsed = protectionSchema.safeParse(document["protection"]);
  return parsed.success ? { vm: parsed.data.vm, policy: parsed.data.policy } : undefined;
}
