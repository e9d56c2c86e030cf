import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { fileTarget } from "../../shared/compose/disk-image.ts";
import { FarsideError, hasCode } from "../../shared/core/errors.ts";
import type { ChosenRestore } from "../../shared/operations/restore/choose-restore.ts";
import { chooseRestore } from "../../shared/operations/restore/choose-restore.ts";
import { restoreDisks } from "../../shared/operations/restore/restore-disks.ts";
import { restoreIdOf } from "../../shared/operations/restore/restore-id.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { restoreChoice } from "../choose-point.ts";
import { Progress } from "../progress.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import { tellRestored } from "./restore-report.ts";
import type { RestoreFlags } from "./restore.ts";

/** From the vault alone: neither the service nor its tables nor the source region are needed. */
export async function restoreToFiles(verb: Verb, vm: string, folderText: string, flags: RestoreFlags): Promise<number> {
  const choice = restoreChoice(flags);
  const folder = resolve(verb.shell.cwd, folderText);
  refuseFile(folder);
  return withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const chosen = await chooseRestore(vault, vmId, choice, verb.signal);
    return restoreChosen(verb, vault, chosen, folder, flags);
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
  chosen: ChosenRestore,
  folder: string,
  { format = "raw", ...flags }: RestoreFlags,
): Promise<number> {
  const { manifest, disks } = chosen;
  const target = fileTarget(format, { overwrite: flags.overwrite === true });
  const total = disks.reduce((sum, { disk }) => sum + disk.sizeBytes, 0);
  const progress = new Progress(verb.output, `${manifest.vmName} ${manifest.pointId}`, total);
  try {
    const restored = await restoreDisks(
      vault,
      target,
      {
        disks,
        urlOf: (disk) => target.locate(folder, disk),
        // Not of the folder: work that was moved is gone on with.
        restoreId: (disk) => restoreIdOf(disk, format),
        allowDamaged: flags.allowDamaged === true,
        onProgress: (_disk, bytes) => progress.add(bytes),
      },
      verb.signal,
    );
    progress.end();
    return tellRestored(verb, chosen, restored, "file");
  } catch (error) {
    progress.end();
    const isKept = disks.some(({ disk }) => existsSync(`${target.locate(folder, disk.name)}.partial`));
    if (isKept && !hasCode(error, "target-exists", "in-use", "vault-corrupt")) {
      verb.output.note(
        `What was restored so far is kept in ${folder} (*.partial): the same command goes on where it stood.`,
      );
    }
    throw error;
  }
}
