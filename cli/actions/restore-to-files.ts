import { existsSync, statSync } from "node:fs";
import { resolve } from "node:path";
import { fileTarget } from "../../shared/compose/disk-image.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { chooseRestore } from "../../shared/operations/restore/choose-restore.ts";
import { restoreIdOf } from "../../shared/operations/restore/restore-id.ts";
import { findVm } from "../../shared/operations/vault/find-vm.ts";
import { restoreChoice } from "../choose-point.ts";
import { withVault } from "../vault.ts";
import type { Verb } from "../verb.ts";
import { restoreChosen, type RestorePlace } from "./restore-chosen.ts";
import type { RestoreFlags } from "./restore.ts";

/** From the vault alone: neither the service nor its tables nor the source region are needed. */
export async function restoreToFiles(verb: Verb, vm: string, folderText: string, flags: RestoreFlags): Promise<number> {
  const choice = restoreChoice(flags);
  const folder = resolve(verb.shell.cwd, folderText);
  refuseFile(folder);
  return withVault(verb, async (vault) => {
    const vmId = await findVm(vault, vm, verb.signal);
    const chosen = await chooseRestore(vault, vmId, choice, verb.signal);
    const { format = "raw" } = flags;
    const target = fileTarget(format, { overwrite: flags.overwrite === true });
    const isKept = (): boolean =>
      chosen.disks.some(({ disk }) => existsSync(`${target.locate(folder, disk.name)}.partial`));
    const place: RestorePlace = {
      target,
      urlOf: (disk) => target.locate(folder, disk),
      // Not of the folder: work that was moved is gone on with.
      restoreId: (disk) => restoreIdOf(disk, format),
      shownAs: "file",
      kept: () => (isKept() ? `What was restored so far is kept in ${folder} (*.partial)` : undefined),
      endedBy: ["target-exists", "in-use", "vault-corrupt"],
    };
    return restoreChosen(verb, vault, chosen, place, flags);
  });
}

/** The disks become files of a folder: a file in its place would only be found out half way. */
function refuseFile(folder: string): void {
  if (statSync(folder, { throwIfNoEntry: false })?.isDirectory() !== false) return;
  throw new FarsideError("target-exists", `${folder} is a file: give a folder, which is made where it is missing.`, {
    details: { target: folder },
  });
}
