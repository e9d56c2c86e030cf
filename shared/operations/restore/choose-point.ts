import { FarsideError } from "../../core/errors.ts";
import type { PointId, VmId } from "../../core/ids.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import { listRestorePoints, newestRestorePoint, readEntries, readManifest } from "../vault/list-restore-points.ts";
import type { OpenVault } from "../vault/open-vault.ts";

export type PointChoice =
  | { readonly kind: "latest" }
  | { readonly kind: "point"; readonly pointId: PointId }
  /** The newest restore point whose snapshots were taken at or before this instant. */
  | { readonly kind: "at"; readonly at: Timestamp };

/**
 * The one restore point that is meant. A point whose manifest is damaged is passed over by `latest` and `at`, as an older one answers
 * them too; asked for by its id it throws `vault-corrupt`. Throws `not-found` where there is none, saying why.
 */
export async function choosePoint(
  vault: OpenVault,
  vmId: VmId,
  choice: PointChoice,
  signal: AbortSignal,
): Promise<Manifest> {
  switch (choice.kind) {
    case "latest": {
      const newest = await newestRestorePoint(vault, vmId, signal);
      if (newest !== undefined) return newest.manifest;
      throw noPoint(vmId, `The VM ${vmId} has no restore point that counts.`);
    }
    case "point":
      return readPoint(vault, vmId, choice.pointId, signal);
    case "at":
      return findPointAt(vault, vmId, choice.at, signal);
    default:
      return choice satisfies never;
  }
}

async function readPoint(vault: OpenVault, vmId: VmId, pointId: PointId, signal: AbortSignal): Promise<Manifest> {
  const entry = (await listRestorePoints(vault, vmId, signal)).find((one) => one.pointId === pointId);
  const name = `The restore point ${pointId} of VM ${vmId}`;
  if (entry?.tombstonedAt !== undefined) throw noPoint(vmId, `${name} has expired at ${entry.tombstonedAt}.`);
  const found = await readManifest(vault, vmId, pointId, signal);
  if (found.kind === "standing") return found.manifest;
  if (found.kind === "absent")
    throw noPoint(vmId, `${name} does not exist: "farside point list" shows those there are.`);
  throw noPoint(vmId, `${name} does not count: its backup came to its end too late.`);
}

async function findPointAt(vault: OpenVault, vmId: VmId, at: Timestamp, signal: AbortSignal): Promise<Manifest> {
  const entries = (await listRestorePoints(vault, vmId, signal)).filter((one) => one.tombstonedAt === undefined);
  let oldest: Timestamp | undefined;
  for await (const point of readEntries(vault, entries.toReversed(), signal)) {
    if (point.kind !== "standing") continue;
    if (point.manifest.snapshotAt <= at) return point.manifest;
    oldest = point.manifest.snapshotAt;
  }
  const hint = oldest === undefined ? "It has no restore point at all." : `Its oldest is of ${oldest}.`;
  throw noPoint(vmId, `The VM ${vmId} has no restore point of ${at} or before. ${hint}`);
}

function noPoint(vmId: VmId, message: string): FarsideError {
  return new FarsideError("not-found", message, { details: { vmId } });
}
