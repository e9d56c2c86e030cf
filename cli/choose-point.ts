/** Finds a VM and one of its restore points in the vault. */
import { FarsideError } from "../shared/core/errors.ts";
import type { VmId } from "../shared/core/ids.ts";
import { parsePointId, quote } from "../shared/core/ids.ts";
import type { Manifest } from "../shared/core/vault/manifest.ts";
import { newestRestorePoint, readManifest, readRestorePoints } from "../shared/operations/vault/list-restore-points.ts";
import type { OpenVault } from "../shared/operations/vault/open-vault.ts";

export interface PointFlags {
  readonly point?: string;
  /** RFC 3339, UTC. */
  readonly at?: string;
}

/** Throws `not-found`, `bad-input`, and `vault-corrupt` for a point whose manifest is damaged. */
export async function choosePoint(
  vault: OpenVault,
  vm: { readonly name: string; readonly vmId: VmId },
  flags: PointFlags,
  signal: AbortSignal,
): Promise<Manifest> {
  if (flags.point !== undefined && flags.at !== undefined) {
    throw new FarsideError("bad-input", "Give either --point or --at, not both.");
  }
  if (flags.at !== undefined) return pointAt(vault, vm, flags.at, signal);
  if (flags.point !== undefined && flags.point !== "latest") return pointById(vault, vm, flags.point, signal);
  const newest = await newestRestorePoint(vault, vm.vmId, signal);
  if (newest !== undefined) return newest.manifest;
  throw new FarsideError(
    "not-found",
    `The VM ${quote(vm.name)} has no restore point that counts: see "farside point list ${vm.name}".`,
  );
}

async function pointById(
  vault: OpenVault,
  vm: { readonly name: string; readonly vmId: VmId },
  text: string,
  signal: AbortSignal,
): Promise<Manifest> {
  const pointId = parsePointId(text);
  const found = await readManifest(vault, vm.vmId, pointId, signal);
  if (found.kind === "standing") return found.manifest;
  const why = found.kind === "void" ? "came too late to count" : "is not there";
  throw new FarsideError(
    "not-found",
    `The restore point ${pointId} of the VM ${quote(vm.name)} ${why}: see "farside point list ${vm.name}".`,
    { details: { vm: vm.name, restorePointId: pointId } },
  );
}

async function pointAt(
  vault: OpenVault,
  vm: { readonly name: string; readonly vmId: VmId },
  at: string,
  signal: AbortSignal,
): Promise<Manifest> {
  const limit = Date.parse(at);
  let chosen: Manifest | undefined;
  for await (const point of readRestorePoints(vault, vm.vmId, signal)) {
    if (point.kind !== "standing" || point.tombstonedAt !== undefined) continue;
    if (Date.parse(point.manifest.snapshotAt) <= limit) chosen = point.manifest;
  }
  if (chosen !== undefined) return chosen;
  throw new FarsideError("not-found", `The VM ${quote(vm.name)} has no restore point at or before ${at}.`, {
    details: { vm: vm.name, at },
  });
}
