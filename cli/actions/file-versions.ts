import { corrupt } from "../../shared/core/vault/corrupt.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import type { VmId } from "../../shared/core/ids.ts";
import { quote } from "../../shared/core/ids.ts";
import { ChunkCache } from "../../shared/operations/files/chunk-cache.ts";
import type { FileVersion, OpenedVolume, VersionPoint } from "../../shared/operations/files/file-versions.ts";
import { fileVersions } from "../../shared/operations/files/file-versions.ts";
import { findVolume, openVolumeFileSystem, openVolumes } from "../../shared/operations/files/open-volume.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import { readRestorePoints } from "../../shared/operations/vault/list-restore-points.ts";
import type { RestorePoint } from "../../shared/operations/vault/list-restore-points.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { FileProblems } from "../file-problems.ts";
import { formatBytes, formatTime } from "../format.ts";
import { neededPath, parseImagePath, splitVolume } from "../image-path.ts";
import { imageCache } from "../open-image.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";

export async function versions(verb: Verb, text: string, readData: boolean): Promise<number> {
  const { vm, rest } = parseImagePath(text);
  if (text.slice(0, text.length - rest.length).includes("@")) {
    throw new FarsideError(
      "bad-input",
      `${quote(text)} names a restore point: leave it out, all of them are looked at.`,
    );
  }
  neededPath(rest, splitVolume(rest, []));
  return withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const found: FileVersion[] = [];
    const problems = new FileProblems(verb);
    for await (const version of fileVersions(pointsOf(verb, vault, vmId, rest), { readData }, verb.signal)) {
      found.push(version);
      if (version.error !== undefined) problems.count(version.error.code === "vault-corrupt");
    }
    if (found.every(({ result }) => result === "absent")) throw nowhere(text, found);
    verb.output.list(
      found,
      found,
      [
        { title: "restore point", value: (one) => one.restorePointId },
        { title: "snapshot", value: (one) => formatTime(one.snapshotAt) },
        { title: "result", value: (one) => one.result },
        {
          title: "size",
          value: (one) => (one.sizeBytes === undefined ? "-" : formatBytes(one.sizeBytes)),
          align: "right",
        },
        { title: "modified", value: (one) => formatTime(one.modifiedAt) },
        { title: "note", value: (one) => one.error?.message ?? one.note ?? "" },
      ],
      "",
    );
    return problems.exitCode;
  });
}

/** The restore points that count, and those whose manifest is damaged, oldest first. */
async function* pointsOf(
  verb: Verb,
  vault: OpenVault,
  vmId: VmId,
  rest: string,
): AsyncGenerator<VersionPoint, void, undefined> {
  const cache = new ChunkCache(vault, imageCache);
  for await (const point of readRestorePoints(vault, vmId, verb.signal)) {
    if (point.kind === "void" || point.tombstonedAt !== undefined) continue;
    const snapshotAt = point.kind === "standing" ? point.manifest.snapshotAt : point.manifestLastModified;
    yield { restorePointId: point.pointId, snapshotAt, open: () => openIn(verb, vault, cache, point, rest) };
  }
}

async function openIn(
  verb: Verb,
  vault: OpenVault,
  cache: ChunkCache,
  point: Exclude<RestorePoint, { kind: "void" }>,
  rest: string,
): Promise<OpenedVolume> {
  if (point.kind === "corrupt") throw corrupt(point.defect, "the manifest is damaged");
  const volumes = await openVolumes(vault, point.manifest, { ...imageCache, cache }, verb.signal);
  const place = splitVolume(
    rest,
    volumes.map(({ name }) => name),
  );
  const { device } = findVolume(volumes, place.volume);
  const fs = await openVolumeFileSystem(volumes, place.volume, verb.signal);
  if (device === undefined) throw new FarsideError("internal", "A volume with a file system has no device.");
  return { fs, device, path: neededPath(rest, place) };
}

function nowhere(text: string, found: readonly FileVersion[]): FarsideError {
  const why = found.at(-1)?.note;
  return new FarsideError(
    "not-found",
    `No restore point has ${quote(text)}${why === undefined ? "" : `. In the latest: ${why}`}`,
    { details: { place: text } },
  );
}
