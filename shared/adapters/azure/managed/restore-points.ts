/**
 * VM restore points: all disks of a VM at one instant, as consistent as the platform can make them.
 *
 * 1. The collection is one for each VM and vault, in the VM's resource group, and its points are named after the attempts: what an attempt made
 *    is found by its name, and asked for twice it is one. Who backs up the VM into another vault has another collection, and touches none of ours.
 * 2. Better than crash consistency is asked for by asking for nothing: the platform tries for applications and tells what it got.
 */
import { createHash } from "node:crypto";
import type { Achieved } from "../../../core/achieved-consistency.ts";
import type { ConsistencyLevel } from "../../../core/consistency.ts";
import { FarsideError } from "../../../core/errors.ts";
import type { AttemptId } from "../../../core/ids.ts";
import type { VmResourceId } from "../../../core/resource-id.ts";
import type { DiskSnapshot } from "../../../core/run.ts";
import { parseTimestamp, timestamp } from "../../../core/timestamp.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions, armCall, requireParts } from "./arm-connection.ts";
import { diskPointModel, parseModel, restorePointModel, type DiskPointModel } from "./arm-models.ts";
import { begin, type BegunOperation } from "./begun-operation.ts";

export const ownPrefix = "farside-";

export function collectionId(resourceId: VmResourceId, vaultId: string): string {
  const { subscriptionId, resourceGroup, path } = requireParts(resourceId);
  const [, name = ""] = path[0] ?? [];
  // The name for people, the digest because names of 64 letters and more would not fit.
  const digest = shortDigest(`${vaultId} ${resourceId.toLowerCase()}`);
  const own = `${ownPrefix}${name.slice(0, 48)}-${digest}`;
  return `/subscriptions/${subscriptionId}/resourceGroups/${resourceGroup}/providers/Microsoft.Compute/restorePointCollections/${own}`;
}

export function shortDigest(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 8);
}

export async function beginRestorePoint(
  arm: ArmConnection,
  asked: {
    readonly resourceId: VmResourceId;
    readonly vaultId: string;
    readonly location: string;
    readonly attemptId: AttemptId;
    readonly wanted: ConsistencyLevel;
    readonly excluded: readonly { readonly id: string }[];
  },
  signal: AbortSignal,
): Promise<BegunOperation["made"]> {
  const { resourceId, vaultId, location, attemptId, wanted, excluded } = asked;
  const collection = collectionId(resourceId, vaultId);
  const { subscriptionId, resourceGroup, path } = requireParts(collection);
  const [, name = ""] = path[0] ?? [];
  const client = arm.compute(subscriptionId);
  await armCall("make the collection of restore points", signal, (abortSignal) =>
    client.restorePointCollections.createOrUpdate(
      resourceGroup,
      name,
      { location, source: { id: resourceId } },
      { abortSignal },
    ),
  );
  const point = `${ownPrefix}${attemptId}`;
  const wish = {
    ...(wanted === "crash" ? { consistencyMode: "CrashConsistent" } : {}),
    ...(excluded.length === 0 ? {} : { excludeDisks: excluded.map(({ id }) => ({ id })) }),
  };
  const create = client.restorePoints.create(resourceGroup, name, point, wish, { abortSignal: signal });
  const poller = await begin(create, "begin a restore point", signal);
  return [{ id: `${collection}/restorePoints/${point}`, poller }];
}

export type FinishedPoint =
  | { readonly kind: "copying" }
  | { readonly kind: "finished"; readonly snapshots: readonly DiskSnapshot[]; readonly achieved: Achieved };

/** Requests: one for the point, one for its disks. */
export async function readRestorePoint(
  arm: ArmConnection,
  { made, disks, note }: BegunOperation,
  signal: AbortSignal,
): Promise<FinishedPoint> {
  const id = made[0]?.id ?? "";
  const query = { "api-version": apiVersions.compute };
  const { properties } = parseModel(
    restorePointModel,
    await arm.get(id, query, "read the restore point", signal),
    "the restore point",
  );
  const kept: DiskPointModel[] = [];
  const diskQuery = { "api-version": apiVersions.disk };
  for await (const one of arm.list(
    `${id}/diskRestorePoints`,
    diskQuery,
    "list the disks of the restore point",
    signal,
  )) {
    kept.push(parseModel(diskPointModel, one, "a disk of the restore point"));
  }
  if (kept.some((one) => isCopying(one.properties))) return { kind: "copying" };
  const snapshots = disks.map((disk): DiskSnapshot => {
    const { name, identity } = disk;
    const found = kept.find((one) => one.properties.sourceUniqueId === identity);
    if (found === undefined) {
      throw new FarsideError(
        "snapshot-failed",
        `The restore point lacks the disk ${name}: it was replaced or detached meanwhile.`,
      );
    }
    return {
      ...inspected(disk),
      sizeBytes: found.properties.diskSizeBytes ?? disk.sizeBytes,
      // The point's own instant: that all its disks are of it is what a restore point is.
      snapshotAt: instant(properties.timeCreated ?? found.properties.timeCreated),
      reference: { kind: "disk-restore-point", id: found.id },
    };
  });
  return { kind: "finished", snapshots, achieved: achievedOf(properties.consistencyMode, note) };
}

/** What a snapshot has of its disk as it was inspected. */
export function inspected(disk: BegunOperation["disks"][number]) {
  const { name, id: _, ...facts } = disk;
  return { disk: name, ...facts };
}

/** Premium SSD v2 and Ultra are copied in the background, and cannot be read before that has ended; absent means that there is nothing to copy. */
export function isCopying(facts: {
  readonly completionPercent?: number | undefined;
  readonly snapshotAccessState?: string | undefined;
}): boolean {
  const { completionPercent = 100, snapshotAccessState } = facts;
  return completionPercent < 100 || snapshotAccessState === "Pending" || snapshotAccessState === "InstantAccess";
}

/** ARM's instants have up to seven digits of fractions. */
export function instant(text: string | undefined) {
  const at = Date.parse(text ?? "");
  if (Number.isNaN(at)) throw new FarsideError("source-corrupt", "Azure's answer about a snapshot names no time.");
  return parseTimestamp(timestamp(at));
}

function achievedOf(mode: string | undefined, note: string | undefined): Achieved {
  if (mode === "ApplicationConsistent") return { level: "application" };
  if (mode === "FileSystemConsistent") {
    return {
      level: "filesystem",
      note: "The platform brought the file systems to rest, and no application took part.",
    };
  }
  if (mode === "CrashConsistent") return { level: "crash", ...(note === undefined ? {} : { note }) };
  return { level: "crash", note: "The platform did not say which consistency it achieved." };
}
