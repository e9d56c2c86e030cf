import type { AttemptId, RunId } from "../../core/ids.ts";
import { instantAttempts, mostInstantSets, type SnapshotOwner } from "../../core/snapshot-removal.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import { listRestorePoints } from "../vault/list-restore-points.ts";

/** What stays for quick restores: of restore points that stand, as the VM's policy says now. */
export async function instantOf(
  context: Context,
  vm: ProtectedVm,
  owners: ReadonlyMap<RunId, SnapshotOwner>,
  signal: AbortSignal,
): Promise<ReadonlySet<AttemptId>> {
  const days = (await context.catalog.policies.get(vm.policy, signal))?.value.instantRestoreDays ?? 0;
  if (days === 0) return new Set();
  const entries = await listRestorePoints(await context.vault(signal), vm.vmId, signal);
  const standing = new Set(
    entries.filter(({ tombstonedAt }) => tombstonedAt === undefined).map(({ pointId }) => pointId),
  );
  const points = [...owners.values()].flatMap((owner) =>
    owner.kind === "ended" && owner.point !== undefined && standing.has(owner.point.pointId) ? [owner.point] : [],
  );
  return instantAttempts(points, { days, most: mostInstantSets[vm.source.kind], now: context.clock.now() });
}
