import { hasCode, type ErrorCode } from "../../shared/core/errors.ts";
import type { DiskName, RunId } from "../../shared/core/ids.ts";
import type { ResumableTarget } from "../../shared/ports/disk-target.ts";
import type { ChosenDisk, ChosenRestore } from "../../shared/operations/restore/choose-restore.ts";
import { restoreDisks } from "../../shared/operations/restore/restore-disks.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { Progress } from "../progress.ts";
import type { Verb } from "../verb.ts";
import { tellRestored } from "./restore-report.ts";
import type { RestoreFlags } from "./restore.ts";

export interface RestorePlace {
  readonly target: ResumableTarget;
  readonly urlOf: (disk: DiskName) => string;
  readonly restoreId: (disk: ChosenDisk, url: string) => RunId;
  readonly shownAs: "file" | "url";
  /** What to say of the work that stays after an error; nothing where none does. */
  readonly kept: (error: unknown) => string | undefined;
  /** After these errors giving the same command again would not help. */
  readonly endedBy: readonly ErrorCode[];
}

/** Restores what was chosen, with progress, and tells it. Gives the exit code. */
export async function restoreChosen(
  verb: Verb,
  vault: OpenVault,
  chosen: ChosenRestore,
  place: RestorePlace,
  flags: RestoreFlags,
): Promise<number> {
  const { manifest, disks } = chosen;
  const { target, urlOf, restoreId } = place;
  const total = disks.reduce((sum, { disk }) => sum + disk.sizeBytes, 0);
  const progress = new Progress(verb.output, `${manifest.vmName} ${manifest.pointId}`, total);
  const allowDamaged = flags.allowDamaged === true;
  const onProgress = (_disk: DiskName, bytes: number): void => progress.add(bytes);
  try {
    const restored = await restoreDisks(
      vault,
      target,
      { disks, urlOf, restoreId, allowDamaged, onProgress },
      verb.signal,
    );
    progress.end();
    return tellRestored(verb, chosen, restored, place.shownAs);
  } catch (error) {
    progress.end();
    const kept = hasCode(error, ...place.endedBy) ? undefined : place.kept(error);
    if (kept !== undefined) verb.output.note(`${kept}: the same command goes on where it stood.`);
    throw error;
  }
}
