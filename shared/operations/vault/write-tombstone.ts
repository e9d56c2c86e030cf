import { FarsideError } from "../../core/errors.ts";
import type { PointId, VmId } from "../../core/ids.ts";
import { canonicalJsonBytes } from "../../core/vault/canonical-json.ts";
import { withMac } from "../../core/vault/manifest-mac.ts";
import { tombstoneName } from "../../core/vault/names.ts";
import { newestRestorePoint, readManifest } from "./list-restore-points.ts";
import type { OpenVault } from "./open-vault.ts";

export interface Expiry {
  readonly vmId: VmId;
  readonly pointId: PointId;
  /** Why, in words, at most 1,000 characters. */
  readonly reason: string;
  /** Whether somebody holds this point: then it never expires (invariant I4). */
  readonly held: boolean;
  /** `allow` only where the whole VM is given up: then its newest point goes too. */
  readonly newest?: "refuse" | "allow";
}

/** Rule E1. Throws `refused` for a point on hold and for the VM's newest good one; `not-found`; `vault-corrupt`. */
export async function writeTombstone(
  vault: OpenVault,
  expiry: Expiry,
  signal: AbortSignal,
): Promise<"written" | "already"> {
  const { vmId, pointId, reason } = expiry;
  const details = { vmId, pointId };
  if (expiry.held) {
    throw new FarsideError("refused", `The restore point ${pointId} is on hold: release it first.`, { details });
  }
  const found = await readManifest(vault, vmId, pointId, signal);
  if (found.kind === "absent") {
    throw new FarsideError("not-found", `There is no restore point ${pointId} of ${vmId}.`, { details });
  }
  if (expiry.newest !== "allow") {
    const newest = await newestRestorePoint(vault, vmId, signal);
    if (newest?.pointId === pointId) {
      const message = `The restore point ${pointId} is the newest good one of ${vmId}: it never expires while the VM is protected.`;
      throw new FarsideError("refused", message, { details });
    }
  }
  const tombstone = withMac(vault.keys, {
    formatVersion: 1,
    vaultId: vault.descriptor.vaultId,
    vmId,
    pointId,
    manifestMac: found.manifest.mac,
    reason,
  });
  const written = await vault.store.create(tombstoneName(vmId, pointId), canonicalJsonBytes(tombstone), signal);
  return written.kind === "created" ? "written" : "already";
}
