/** Opens what lies in a restore point, for a verb that works with the vault alone. */
import type { Manifest } from "../shared/core/vault/manifest.ts";
import type { Volume } from "../shared/images/volumes/volume.ts";
import { openVolumeFileSystem, openVolumes } from "../shared/operations/files/open-volume.ts";
import { choosePoint } from "../shared/operations/restore/choose-point.ts";
import { findVm } from "../shared/operations/vault/find-vm.ts";
import type { OpenVault } from "../shared/operations/vault/open-vault.ts";
import type { FileSystem } from "../shared/ports/file-system.ts";
import { printable } from "./format.ts";
import { pointChoice } from "./choose-point.ts";
import type { VolumePath } from "./image-path.ts";
import { parseImagePath, splitVolume } from "./image-path.ts";
import { withVault } from "./vault.ts";
import type { Verb } from "./verb.ts";
import type { VmAtPoint } from "./vm-at-point.ts";

/** 32 chunks of 1 MiB: what a walk touches again. Eight fetches at a time hide the latency of each. */
export const imageCache = { cacheBytes: 32 * 1024 * 1024, fetchesAtOnce: 8 } as const;

export interface OpenedImage {
  readonly fs: FileSystem;
  readonly volume: VolumePath;
  /** VOLUME[:PATH] as it was typed. */
  readonly rest: string;
}

/** Opens the volume that `text` names and works in its file system. What may be old or torn in it is said first. */
export async function withImage<T>(verb: Verb, text: string, work: (image: OpenedImage) => Promise<T>): Promise<T> {
  const parsed = parseImagePath(text);
  return withVault(verb, async (vault) => {
    const { volumes } = await openPoint(verb, vault, parsed);
    const volume = splitVolume(
      parsed.rest,
      volumes.map(({ name }) => name),
    );
    const fs = await openVolumeFileSystem(volumes, volume.volume, verb.signal);
    const { state } = fs.facts;
    if (state.kind === "dirty") {
      const what = `the volume ${volume.volume} was in use, and what is shown may be old or torn: ${state.note}`;
      verb.output.warning(`farside: ${printable(what)}`);
    }
    return work({ fs, volume, rest: parsed.rest });
  });
}

export async function openPoint(
  verb: Verb,
  vault: OpenVault,
  { vm, point }: VmAtPoint,
): Promise<{ readonly manifest: Manifest; readonly volumes: readonly Volume[] }> {
  const vmId = await findVm(vault, vm, verb.signal);
  const manifest = await choosePoint(vault, vmId, pointChoice({ point }), verb.signal);
  return { manifest, volumes: await openVolumes(vault, manifest, imageCache, verb.signal) };
}
