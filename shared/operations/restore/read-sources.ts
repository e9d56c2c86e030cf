import { FarsideError } from "../../core/errors.ts";
import type { PointId } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { RestoreRun } from "../../core/run.ts";
import type { Manifest, ManifestDisk } from "../../core/vault/manifest.ts";
import { readManifest } from "../vault/list-restore-points.ts";
import type { OpenVault } from "../vault/open-vault.ts";

export interface RestoreSources {
  /** Of the run's own point. */
  readonly manifest: Manifest;
  /** One for each disk of the run, in their order. */
  readonly disks: readonly ManifestDisk[];
}

/** The disks as their restore points have them. The points were there when they were asked for; they may have been damaged or expired since. */
export async function readSources(
  vault: OpenVault,
  run: Pick<RestoreRun, "vmId" | "pointId" | "disks">,
  signal: AbortSignal,
): Promise<RestoreSources> {
  const own = await readPoint(vault, run, run.pointId, signal);
  const read = new Map<PointId, Manifest>([[run.pointId, own]]);
  const disks: ManifestDisk[] = [];
  for (const { name, pointId = run.pointId } of run.disks) {
    const manifest = read.get(pointId) ?? (await readPoint(vault, run, pointId, signal));
    read.set(pointId, manifest);
    const disk = manifest.disks.find((one) => one.name === name);
    if (disk === undefined) throw new FarsideError("not-found", `The restore point has no disk ${quote(name)}.`);
    disks.push(disk);
  }
  return { manifest: own, disks };
}

async function readPoint(
  vault: OpenVault,
  { vmId }: Pick<RestoreRun, "vmId">,
  pointId: PointId,
  signal: AbortSignal,
): Promise<Manifest> {
  const found = await readManifest(vault, vmId, pointId, signal);
  if (found.kind === "standing") return found.manifest;
  throw new FarsideError("not-found", `The restore point ${pointId} of VM ${vmId} is gone.`, {
    details: { vmId, pointId },
  });
}
