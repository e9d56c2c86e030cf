import { statSync } from "node:fs";
import { resolve } from "node:path";
import { fileTarget } from "../../shared/compose/disk-image.ts";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseDiskName, parseRunId } from "../../shared/core/ids.ts";
import { ulid } from "../../shared/core/ulid.ts";
import type { Manifest, ManifestDisk } from "../../shared/core/vault/manifest.ts";
import { restoreDisks } from "../../shared/operations/manage/restore-disks.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { chooseDisks } from "../choose-disks.ts";
import { choosePoint } from "../choose-point.ts";
import { formatBytes, formatTime } from "../format.ts";
import { Progress } from "../progress.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import type { RestoreFlags } from "./restore.ts";

/** From the vault alone: neither the service nor its tables nor the source region are needed. */
export async function restoreToFiles(verb: Verb, vm: string, folder: string, flags: RestoreFlags): Promise<void> {
  const names = flags.disk?.map(parseDiskName);
  refuseFile(resolve(verb.shell.cwd, folder));
  await withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const manifest = await choosePoint(vault, { name: vm, vmId }, flags, verb.signal);
    refuseRisk(manifest, flags);
    const disks = chooseDisks(manifest, names);
    await restoreChosen(verb, vault, manifest, disks, resolve(verb.shell.cwd, folder), flags.format ?? "raw");
  });
}

/** The disks become files of a folder: a file in its place would only be found out half way. */
function refuseFile(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== false) return;
  throw new FarsideError("target-exists", `${folder} is a file: give a folder, which is made where it is missing.`, {
    details: { target: folder },
  });
}

async function restoreChosen(
  verb: Verb,
  vault: OpenVault,
  manifest: Manifest,
  disks: readonly ManifestDisk[],
  folder: string,
  format: "raw" | "vhd",
): Promise<void> {
  const target = fileTarget(format);
  const total = disks.reduce((sum, disk) => sum + disk.sizeBytes, 0);
  const progress = new Progress(verb.output, `${manifest.vmName} ${manifest.pointId}`, total);
  try {
    const restored = await restoreDisks(
      vault,
      target,
      {
        manifest,
        disks,
        urlOf: (disk) => target.locate(folder, disk),
        runId: parseRunId(ulid(systemClock().now(), systemRandom().bytes(10))),
        onProgress: (_disk, bytes) => progress.add(bytes),
      },
      verb.signal,
    );
    progress.end();
    const files = restored.map(({ name, url, sizeBytes, writtenBytes }) => ({
      name,
      file: url,
      sizeBytes,
      writtenBytes,
    }));
    const { vmId, vmName, pointId, snapshotAt, consistency } = manifest;
    if (verb.output.json) {
      const facts = { vm: vmName, vmId, restorePointId: pointId, snapshotAt, consistency: consistency.achieved };
      verb.output.thing({ ...facts, disks: files }, []);
      return;
    }
    verb.output.table(files, [
      { title: "disk", value: (disk) => disk.name },
      { title: "size", value: (disk) => formatBytes(disk.sizeBytes), align: "right" },
      { title: "data", value: (disk) => formatBytes(disk.writtenBytes), align: "right" },
      { title: "file", value: (disk) => disk.file },
    ]);
    verb.output.line(
      `Restored ${vmName} as of ${formatTime(snapshotAt)} (${consistency.achieved}-consistent, restore point ${pointId}).`,
    );
  } finally {
    progress.end();
  }
}

/** The same gate as the service's: a domain controller must not come back from such a point by accident. */
function refuseRisk({ pointId, safety }: Manifest, flags: RestoreFlags): void {
  if (!safety.usnRollbackRisk || flags.acceptUsnRollbackRisk === true) return;
  throw new FarsideError(
    "refused",
    `The restore point ${pointId} carries the risk of USN rollback for its domain controller${safety.note === undefined ? "" : ` (${safety.note})`}: give --accept-usn-rollback-risk to restore it all the same.`,
    { details: { restorePointId: pointId } },
  );
}
