/** The disks of a restore point that a verb works with. */
import { FarsideError } from "../shared/core/errors.ts";
import type { DiskName } from "../shared/core/ids.ts";
import { quote } from "../shared/core/ids.ts";
import type { Manifest, ManifestDisk } from "../shared/core/vault/manifest.ts";

/** All where none is named. Throws `not-found`. */
export function chooseDisks(manifest: Manifest, names: readonly DiskName[] | undefined): readonly ManifestDisk[] {
  if (names === undefined) return manifest.disks;
  return [...new Set(names)].map((name) => {
    const disk = manifest.disks.find((one) => one.name === name);
    if (disk !== undefined) return disk;
    const known = manifest.disks.map((one) => one.name).join(", ");
    throw new FarsideError(
      "not-found",
      `The restore point ${manifest.pointId} has no disk ${quote(name)}: it has ${known}.`,
      { details: { disk: name, restorePointId: manifest.pointId } },
    );
  });
}
