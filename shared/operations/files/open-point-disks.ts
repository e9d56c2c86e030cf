import type { Manifest, ManifestDisk } from "../../core/vault/manifest.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import type { ChunkCacheOptions } from "./chunk-cache.ts";
import { ChunkCache } from "./chunk-cache.ts";
import type { DamagedRange } from "./vault-disk.ts";
import { openVaultDisk } from "./vault-disk.ts";

export interface PointDiskOptions extends ChunkCacheOptions {
  /** With it, damaged stretches read as zeros and are told once each; without it, reading them throws `vault-corrupt`. */
  readonly onDamage?: (range: DamagedRange) => void;
  /** One that is shared with other restore points of the same vault; else one is made. Its `stats` count what is read. */
  readonly cache?: ChunkCache;
}

export interface PointDisk {
  readonly name: string;
  readonly disk: ManifestDisk;
  readonly device: BlockDevice;
}

/** All disks of a restore point, in the manifest's order, over one cache. Reads their indexes alone. Throws `vault-corrupt`. */
export async function openPointDisks(
  vault: OpenVault,
  manifest: Manifest,
  options: PointDiskOptions,
  signal: AbortSignal,
): Promise<readonly PointDisk[]> {
  const cache = options.cache ?? new ChunkCache(vault, options);
  const opened: PointDisk[] = [];
  for (const disk of manifest.disks) {
    const device = await openVaultDisk(cache, disk, options.onDamage, signal);
    opened.push({ name: disk.name, disk, device });
  }
  return opened;
}
