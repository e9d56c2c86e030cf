import type { BackupIn } from "../../core/run-transitions.ts";
import type { PowerState, ProtectedVm } from "../../core/vm.ts";
import type { DiskSource } from "../../ports/disk-source.ts";
import type { Context } from "../context.ts";
import { halfRevertOf } from "../restore/half-reverts.ts";
import { planFreeze, type FreezePlan } from "./freeze.ts";

/**
 * How the disks are brought to rest. A guest that answers, or that its platform quiesces, runs on disks that somebody has put right; what lies
 * still may be left half way by a revert, and is called no more than `crash` then.
 */
export async function freezePlan(
  context: Context,
  run: BackupIn<"snapshotting">,
  scene: {
    readonly vm: ProtectedVm;
    readonly source: Pick<DiskSource, "quiesces">;
    readonly powerState: PowerState;
  },
  signal: AbortSignal,
): Promise<FreezePlan> {
  const plan = planFreeze(run, scene.vm, scene.powerState, scene.source);
  if (plan.kind !== "none" || (await halfRevertOf(context, run.vmId, signal)) === undefined) return plan;
  return { kind: "none", reason: "half-reverted" };
}
