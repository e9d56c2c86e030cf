/**
 * Snapshots of Premium SSD v2 and Ultra disks are copied in the background after they were made ("Create an incremental snapshot": check
 * the status of snapshots). Until then they can neither be read nor be copied.
 *
 * 1. The snapshot's content is that of its instant, and only the clock decides when it can be used.
 * 2. A disk has at most three snapshots whose copies have not ended; where it grows meanwhile, they fail.
 */
import { ServiceError } from "../service-error.ts";
import { asObject, asText, propertiesOf, type Resource, type Resources } from "../resources.ts";

export interface BackgroundCopy {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly readyAt: number;
}

const mostPending = 3;

export function isCopiedInBackground(disk: Resource): boolean {
  const sku = asText(asObject(disk.body["sku"])["name"]) ?? "";
  return sku === "UltraSSD_LRS" || sku === "PremiumV2_LRS";
}

/** What a snapshot or a disk restore point tells of its copy. */
export function copyState(copy: BackgroundCopy | undefined, now: number) {
  if (copy === undefined || copy.readyAt <= now) return { completionPercent: 100, snapshotAccessState: "Available" };
  const part = (now - copy.startedAt) / (copy.readyAt - copy.startedAt);
  return { completionPercent: Math.floor(part * 100), snapshotAccessState: "Pending" };
}

/** Brings what is told of the copies to this instant. */
export function settleCopies(resources: Resources, now: number): void {
  for (const { id, copy } of resources.all()) {
    if (copy === undefined) continue;
    const { copy: _, ...changed } = resources.change(id, copyState(copy, now));
    if (copy.readyAt <= now) resources.put(changed);
  }
}

export function isPending(snapshot: Resource): boolean {
  return propertiesOf(snapshot)["snapshotAccessState"] === "Pending";
}

/** Throws where the disk has as many snapshots under way as it may. */
export function refuseMorePending(resources: Resources, disk: Resource): void {
  if (pendingOf(resources, disk).length < mostPending) return;
  const text = `The disk ${disk.id} has ${mostPending} snapshots whose background copies have not ended.`;
  throw new ServiceError(409, "OperationNotAllowed", text);
}

/** The disk grows. */
export function failPending(resources: Resources, disk: Resource): void {
  for (const snapshot of pendingOf(resources, disk)) {
    const { copy: _, ...failed } = resources.change(snapshot.id, { provisioningState: "Failed" });
    resources.put(failed);
  }
}

function pendingOf(resources: Resources, disk: Resource): Resource[] {
  const { uniqueId } = propertiesOf(disk);
  return resources.all().filter((one) => {
    const { creationData, sourceUniqueId } = propertiesOf(one);
    const source = sourceUniqueId ?? asObject(creationData)["sourceUniqueId"];
    return one.copy !== undefined && isPending(one) && source === uniqueId;
  });
}
