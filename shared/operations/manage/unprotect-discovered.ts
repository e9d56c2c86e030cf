import { tagOf } from "../../core/disk-selection.ts";
import type { RemovalReason } from "../../core/discovery-plan.ts";
import { hasCode } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { VmResourceId } from "../../core/resource-id.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { endProtection } from "./end-protection.ts";
import { isOf } from "./protect-discovered.ts";

export interface Unprotected {
  /** `changed`: a person changed it meanwhile. `doubtful`: it is there with its tag, and the list lacked it. */
  readonly kind: "unprotected" | "changed" | "doubtful";
  readonly note: string;
}

/**
 * Ends the protection of a VM whose tag is gone; its restore points stay. A listing alone is not believed: the VM itself is asked for, and
 * only its own answer, or ARM's word that it is not there, counts. Throws what that question fails with, and `run-active`.
 */
export async function unprotectDiscovered(
  context: Context,
  input: { readonly row: ProtectedVm; readonly reason: RemovalReason; readonly dryRun: boolean },
  signal: AbortSignal,
): Promise<Unprotected> {
  const { row, reason, dryRun } = input;
  const { source } = row;
  if (source.kind !== "managed") return { kind: "changed", note: "It is no VM of Azure." };
  const why = reason === "tag-gone" ? await whyGone(context, source.resourceId, signal) : otherReasons[reason];
  if (why === undefined) {
    return {
      kind: "doubtful",
      note: "The list of its scope lacks it, and it is there with its tag: check what the app may read.",
    };
  }
  if (dryRun) return { kind: "unprotected", note: why };
  const stored = await context.catalog.vms.get(row.name, signal);
  if (stored === undefined) return { kind: "unprotected", note: why };
  if (stored.value.protectedBy !== "tag" || !isOf(stored.value, source.resourceId)) {
    return { kind: "changed", note: "It was changed by hand just now." };
  }
  const state = (await context.catalog.vmStates.get(row.vmId, signal))?.value;
  try {
    await endProtection(context, { stored, state, because: why, comesBack: true }, signal);
  } catch (error) {
    // Another look, at the same time, has done it.
    if (!hasCode(error, "not-found") || (await context.catalog.vms.get(row.name, signal)) !== undefined) throw error;
  }
  return { kind: "unprotected", note: why };
}

const otherReasons = {
  "out-of-scope": "It lies in no scope that VMs are looked for in.",
  "protected-twice": "It is protected under another name as well.",
} as const;

async function whyGone(context: Context, resourceId: VmResourceId, signal: AbortSignal): Promise<string | undefined> {
  const { directory, tag } = context.discovery;
  const found = await directory.find(resourceId, signal);
  if (found === undefined) return "It was deleted, or moved to another resource group.";
  return tagOf(found.tags, tag) === undefined ? `Its tag ${quote(tag)} is gone.` : undefined;
}
