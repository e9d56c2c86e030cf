import { objectName } from "../../../shared/core/vault/object-id.ts";
import type { ObjectId } from "../../../shared/core/vault/object-id.ts";
import { findVolume, openVolumeFileSystem, openVolumes } from "../../../shared/operations/files/open-volume.ts";
import { resolvePath } from "../../../shared/operations/files/resolve-path.ts";
import { findVm } from "../../../shared/operations/vault/find-vm.ts";
import { newestRestorePoint } from "../../../shared/operations/vault/list-restore-points.ts";
import { signal } from "../vault/vault-fixture.ts";
import type { ImageVault } from "./image-vault.ts";

/** The blob name of the chunk that the middle of a file lies in, in the newest restore point. */
export async function chunkOf({ vault }: ImageVault, vm: string, volume: string, path: string): Promise<string> {
  const point = await newestRestorePoint(vault, await findVm(vault, vm, signal), signal);
  if (point === undefined) throw new Error("There is no restore point.");
  const options = { cacheBytes: 1024 * 1024, fetchesAtOnce: 1 };
  const volumes = await openVolumes(vault, point.manifest, options, signal);
  const fs = await openVolumeFileSystem(volumes, volume, signal);
  const { node, stat } = await resolvePath(fs, path, signal);
  const { device } = findVolume(volumes, volume);
  for await (const extent of fs.extents(node, signal)) {
    const middle = Math.floor(stat.sizeBytes / 2) - extent.offset;
    if (extent.kind !== "device" || middle >= extent.length || device === undefined) continue;
    for await (const { name } of device.contentNames(extent.deviceOffset + middle, 1, signal)) {
      return objectName("data", name as ObjectId);
    }
  }
  throw new Error(`${path} lies in no chunk.`);
}
