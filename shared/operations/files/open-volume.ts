/** The volumes of a restore point, and the file systems in them. */
import { FarsideError } from "../../core/errors.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import { notSupported } from "../../images/image-errors.ts";
import { openFileSystem } from "../../images/file-systems/open-file-system.ts";
import { assembleVolumes } from "../../images/volumes/assemble-volumes.ts";
import type { Volume } from "../../images/volumes/volume.ts";
import type { FileSystem } from "../../ports/file-system.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import type { PointDiskOptions } from "./open-point-disks.ts";
import { openPointDisks } from "./open-point-disks.ts";

/** How many names a message lists. */
const namesTold = 20;

/**
 * All that lies on the disks of a restore point; see volume.ts for the names. What is damaged or not understood is in the notes.
 * Throws `vault-corrupt` where a disk's index is damaged, and what the store throws.
 */
export async function openVolumes(
  vault: OpenVault,
  manifest: Manifest,
  options: PointDiskOptions,
  signal: AbortSignal,
): Promise<readonly Volume[]> {
  const disks = await openPointDisks(vault, manifest, options, signal);
  return assembleVolumes(
    disks.map(({ name, disk, device }) => ({ name, device, sectorBytes: disk.logicalSectorSize })),
    signal,
  );
}

/** Throws `not-found` with the names that there are. */
export function findVolume(volumes: readonly Volume[], name: string): Volume {
  const found = volumes.find((volume) => volume.name === name);
  if (found !== undefined) return found;
  const names = volumes.map((volume) => volume.name);
  const more = names.length > namesTold ? ` and ${names.length - namesTold} more` : "";
  const there = names.slice(0, namesTold).join(", ");
  throw new FarsideError("not-found", `There is no volume "${name}" in this restore point, but ${there}${more}.`, {
    details: { volume: name },
  });
}

/** Throws `not-found`, `not-supported` with the volume's note for what holds no file system, and what opening it throws. */
export async function openVolumeFileSystem(
  volumes: readonly Volume[],
  name: string,
  signal: AbortSignal,
): Promise<FileSystem> {
  const volume = findVolume(volumes, name);
  const { device, content, note } = volume;
  if (device !== undefined && content.kind === "file-system") return openFileSystem(content.type, device, signal);
  const why = note === undefined ? "" : ` (${note})`;
  throw notSupported(`The volume ${name}, which holds ${whatItHolds(volume)}${why},`);
}

function whatItHolds({ device, content }: Volume): string {
  if (device === undefined) return "what could not be assembled";
  switch (content.kind) {
    case "partition-table":
      return `partitions (${content.type})`;
    case "member":
      return `a part of ${content.of}`;
    case "foreign":
      return content.type;
    case "empty":
      return "zeros";
    case "file-system":
    case "unknown":
      return "nothing that is known";
    default:
      return content satisfies never;
  }
}
