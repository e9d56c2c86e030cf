/**
 * What Farside has made of a VM's disks for one vault and is still there: restore points by their names, incremental snapshots by their tags.
 * What is another vault's looks like a run that nobody knows, and must not be taken for one.
 */
import { FarsideError, hasCode } from "../../../core/errors.ts";
import { parseAttemptId, parseDiskName, parseRunId, type AttemptId } from "../../../core/ids.ts";
import type { ProtectedVm } from "../../../core/vm.ts";
import type { VmResourceId } from "../../../core/resource-id.ts";
import type { OwnSnapshot } from "../../../ports/disk-source.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions, requireParts } from "./arm-connection.ts";
import { collectionModel, parseModel, snapshotModel } from "./arm-models.ts";
import { snapshotTags } from "./incremental-snapshots.ts";
import { collectionId, ownPrefix } from "./restore-points.ts";

interface Place {
  readonly resourceId: VmResourceId;
  readonly vaultId: string;
}

/** Requests: one for the points, one for each page of the resource group's snapshots. */
export async function ownSnapshots(
  arm: ArmConnection,
  vm: ProtectedVm,
  place: Place,
  signal: AbortSignal,
): Promise<readonly OwnSnapshot[]> {
  return [...(await ownPoints(arm, place, signal)), ...(await ownIncrementals(arm, vm, place, signal))];
}

async function ownPoints(
  arm: ArmConnection,
  { resourceId, vaultId }: Place,
  signal: AbortSignal,
): Promise<OwnSnapshot[]> {
  const query = { "api-version": apiVersions.compute, $expand: "restorePoints" };
  let raw: unknown;
  try {
    raw = await arm.get(collectionId(resourceId, vaultId), query, "list the VM's restore points", signal);
  } catch (error) {
    if (hasCode(error, "not-found")) return [];
    throw error;
  }
  const { restorePoints = [] } = parseModel(collectionModel, raw, "the collection of restore points").properties;
  return restorePoints.flatMap(({ id, name, properties }): OwnSnapshot[] => {
    const attemptId = attemptOf(name);
    if (attemptId === undefined) return [];
    const runId = parseRunId(attemptId.slice(0, 26));
    const { osDisk, dataDisks = [] } = properties.sourceMetadata?.storageProfile ?? {};
    const kept = [osDisk, ...dataDisks].flatMap((disk): OwnSnapshot[] => {
      const diskPoint = disk?.diskRestorePoint?.id;
      if (diskPoint === undefined) return [];
      return [
        { runId, attemptId, disk: shownName(disk?.name), reference: { kind: "disk-restore-point", id: diskPoint } },
      ];
    });
    // One that is being made, or failed, may have none yet.
    return kept.length > 0
      ? kept
      : [{ runId, attemptId, disk: shownName(undefined), reference: { kind: "restore-point", id } }];
  });
}

async function ownIncrementals(
  arm: ArmConnection,
  vm: ProtectedVm,
  { resourceId, vaultId }: Place,
  signal: AbortSignal,
): Promise<OwnSnapshot[]> {
  const { subscriptionId, resourceGroup } = requireParts(resourceId);
  const list = `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/snapshots`;
  const own: OwnSnapshot[] = [];
  for await (const raw of arm.list(list, { "api-version": apiVersions.disk }, "list the snapshots", signal)) {
    const { id, name, tags = {} } = parseModel(snapshotModel, raw, "a snapshot");
    const attemptId = attemptOf(name.replace(/-\d+-[0-9a-f]{8}$/, ""));
    if (attemptId === undefined || tags[snapshotTags.vault] !== vaultId || tags[snapshotTags.vm] !== vm.vmId) continue;
    const runId = parseRunId(attemptId.slice(0, 26));
    own.push({ runId, attemptId, disk: shownName(tags[snapshotTags.disk]), reference: { kind: "snapshot", id } });
  }
  return own;
}

/** Undefined for what is another's. */
function attemptOf(name: string): AttemptId | undefined {
  if (!name.startsWith(ownPrefix)) return undefined;
  try {
    return parseAttemptId(name.slice(ownPrefix.length));
  } catch (error) {
    if (error instanceof FarsideError) return undefined;
    throw error;
  }
}

/** For people alone: nothing is found by it. */
function shownName(name: string | undefined) {
  try {
    return parseDiskName(name ?? "unknown");
  } catch {
    return parseDiskName("unknown");
  }
}
