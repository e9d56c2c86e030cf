import type { PointId, VmId } from "../../core/ids.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { canonicalJsonBytes } from "../../core/vault/canonical-json.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import { withMac } from "../../core/vault/manifest-mac.ts";
import { sealName } from "../../core/vault/names.ts";
import { readManifest } from "./list-restore-points.ts";
import type { OpenVault } from "./open-vault.ts";

/**
 * Rule W5 for a manifest whose writer died before sealing it: seals it where it came in time. For the reconciler; may run twice or
 * at once. A wrong seal that lies there is left: it counts for nothing, and verify shows it. Throws `vault-corrupt`.
 */
export async function sealManifest(
  vault: OpenVault,
  vmId: VmId,
  pointId: PointId,
  signal: AbortSignal,
): Promise<"sealed" | "already" | "void" | "absent"> {
  const found = await readManifest(vault, vmId, pointId, signal);
  if (found.kind !== "standing") return found.kind;
  if (found.sealed) return "already";
  return writeSeal(vault, found.manifest, found.lastModified, signal);
}

/** Writes the seal of a manifest that its caller has found in time. */
export async function writeSeal(
  vault: OpenVault,
  manifest: Manifest,
  manifestLastModified: Timestamp,
  signal: AbortSignal,
): Promise<"sealed" | "already"> {
  const seal = withMac(vault.keys, {
    formatVersion: 1,
    pointId: manifest.pointId,
    manifestMac: manifest.mac,
    manifestLastModified,
  });
  const written = await vault.store.create(sealName(manifest.vmId, manifest.pointId), canonicalJsonBytes(seal), signal);
  return written.kind === "created" ? "sealed" : "already";
}
