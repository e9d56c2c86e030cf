import { statSync } from "node:fs";
import { resolve } from "node:path";
import { fileTarget } from "../../shared/compose/disk-image.ts";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { parseRunId } from "../../shared/core/ids.ts";
import { ulid } from "../../shared/core/ulid.ts";
import { restoreDisks } from "../../shared/operations/manage/restore-disks.ts";
import type { ChosenRestore } from "../../shared/operations/restore/choose-restore.ts";
import { chooseRestore } from "../../shared/operations/restore/choose-restore.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { restoreChoice } from "../choose-point.ts";
import { formatBytes, formatTime } from "../format.ts";
import { Progress } from "../progress.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import type { RestoreFlags } from "./restore.ts";

/** From the vault alone: neither the service nor its tables nor the source region are needed. */
export async function restoreToFiles(verb: Verb, vm: string, folder: string, flags: RestoreFlags): Promise<void> {
  const choice = restoreChoice(flags);
  refuseFile(resolve(verb.shell.cwd, folder));
  await withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const chosen = await chooseRestore(vault, vmId, choice, verb.signal);
    await restoreChosen(verb, vault, chosen, resolve(verb.shell.cwd, folder), flags.format ?? "raw");
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
  { manifest, disks }: ChosenRestore,
  folder: string,
  format: "raw" | "vhd",
): Promise<void> {
  const target = fileTarget(format);
  const total = disks.reduce((sum, { disk }) => sum + disk.sizeBytes, 0);
  const progress = new Progress(verb.output, `${manifest.vmName} ${manifest.pointId}`, total);
  try {
    const restored = await restoreDisks(
      vault,
      target,
      {
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
