/** What a restore that this command did itself says at its end. */
import type { FarsideError } from "../../shared/core/errors.ts";
import { errorRecord } from "../../shared/core/errors.ts";
import type { ChosenDisk, ChosenRestore } from "../../shared/operations/restore/choose-restore.ts";
import type { DamagedRange } from "../../shared/operations/restore/damage.ts";
import type { RestoredDisks } from "../../shared/operations/restore/restore-disks.ts";
import { formatBytes, formatTime, printable } from "../format.ts";
import type { Verb } from "../verb.ts";

export const damagedExitCode = 5;

/** `place`: under which name a disk's URL is told. Gives the exit code. */
export function tellRestored(
  verb: Verb,
  chosen: ChosenRestore,
  restored: RestoredDisks,
  place: "file" | "url",
): number {
  const { output } = verb;
  const { vmId, vmName, pointId, snapshotAt, consistency } = chosen.manifest;
  const { disks, lost } = restored;
  if (output.json) {
    output.thing(
      {
        vm: vmName,
        vmId,
        restorePointId: pointId,
        snapshotAt,
        consistency: consistency.achieved,
        disks: disks.map(({ url, ...disk }) => ({ ...disk, [place]: url, ...pointOf(chosen, disk.name) })),
        ...(lost.length === 0 ? {} : { lost: lost.map(({ name, error }) => ({ name, error: errorRecord(error) })) }),
      },
      [],
    );
  } else {
    output.table(disks, [
      { title: "disk", value: (disk) => disk.name },
      { title: "size", value: (disk) => formatBytes(disk.sizeBytes), align: "right" },
      { title: "data", value: (disk) => formatBytes(disk.writtenBytes), align: "right" },
      { title: place, value: (disk) => disk.url },
    ]);
    output.line(
      `Restored ${vmName} as of ${formatTime(snapshotAt)} (${consistency.achieved}-consistent, restore point ${pointId}).`,
    );
  }
  for (const { name, damaged } of disks) tellDamage(verb, name, damaged);
  for (const { name, error } of lost) tellLost(verb, name, error);
  return lost.length > 0 || disks.some((disk) => disk.damaged.length > 0) ? damagedExitCode : 0;
}

/** Only of a mix: else the point is told once. */
function pointOf({ manifest, disks }: ChosenRestore, name: string): { readonly restorePointId?: string } {
  const own = disks.find((one: ChosenDisk) => one.disk.name === name)?.manifest;
  return own === undefined || own === manifest ? {} : { restorePointId: own.pointId };
}

/** Every range: somebody has to know which files are hit. */
export function tellDamage(verb: Verb, disk: string, damaged: readonly DamagedRange[]): void {
  for (const { fromByte, toByte, reason, object } of damaged) {
    verb.output.warning(`LOST: disk ${disk}, bytes ${fromByte} to ${toByte - 1}, now zeros: ${reason} (${object}).`);
  }
}

function tellLost(verb: Verb, disk: string, error: FarsideError): void {
  verb.output.warning(`LOST: disk ${disk} as a whole, not restored: ${printable(error.message)}`);
}
