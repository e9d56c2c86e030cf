import { FarsideError } from "../../core/errors.ts";
import type { DiskName } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { Manifest, ManifestDisk } from "../../core/vault/manifest.ts";

/** Throws `not-found`, naming the disks that the restore point has. */
export function findDisk(manifest: Manifest, name: DiskName): ManifestDisk {
  const disk = manifest.disks.find((one) => one.name === name);
  if (disk !== undefined) return disk;
  const known = manifest.disks.map((one) => one.name);
  const message = `The restore point ${manifest.pointId} has no disk ${quote(name)}: it has ${known.join(", ")}.`;
  throw new FarsideError("not-found", message, { details: { disk: name, disks: known, pointId: manifest.pointId } });
}
