/** Reads what people say about the restore point and the disks that they mean. */
import { FarsideError } from "../shared/core/errors.ts";
import { parseDiskName, parsePointId } from "../shared/core/ids.ts";
import { timestamp } from "../shared/core/timestamp.ts";
import type { PointChoice } from "../shared/operations/restore/choose-point.ts";
import type { DiskChoice, RestoreChoice } from "../shared/operations/restore/choose-restore.ts";

interface PointFlags {
  readonly point?: string;
  /** RFC 3339, UTC. */
  readonly at?: string;
}

export interface ChoiceFlags extends PointFlags {
  readonly disk?: readonly string[];
  readonly acceptMixedPoints?: true;
  readonly acceptUsnRollbackRisk?: true;
}

/** Throws `bad-input` for an id that is none. */
export function pointChoice({ point = "latest", at }: PointFlags): PointChoice {
  if (at !== undefined) return { kind: "at", at: timestamp(Date.parse(at)) };
  return point === "latest" ? { kind: "latest" } : { kind: "point", pointId: parsePointId(point) };
}

export function restoreChoice(flags: ChoiceFlags): RestoreChoice {
  if (flags.point !== undefined && flags.at !== undefined) {
    throw new FarsideError("bad-input", "Say which restore point: give either --point or --at, not both.");
  }
  return {
    point: pointChoice(flags),
    ...(flags.disk === undefined ? {} : { disks: flags.disk.map(diskChoice) }),
    acceptMixedPoints: flags.acceptMixedPoints === true,
    acceptUsnRollbackRisk: flags.acceptUsnRollbackRisk === true,
  };
}

/** "NAME" or "NAME@POINT": no name of a disk holds an "@". */
function diskChoice(text: string): DiskChoice {
  const at = text.indexOf("@");
  if (at < 0) return { name: parseDiskName(text) };
  return { name: parseDiskName(text.slice(0, at)), pointId: parsePointId(text.slice(at + 1)) };
}
