/** Bytes of a disk that the vault has lost, for people and for programs. */
import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import { defectOf } from "../../core/vault/corrupt.ts";
import type { DiskPiece } from "../vault/read-disk.ts";
import type { ChosenDisk } from "./choose-restore.ts";

export interface DamagedRange {
  readonly fromByte: number;
  /** Not part of it. */
  readonly toByte: number;
  /** Why, as a defect of the vault format names it: `missing`, `tag-mismatch`, … */
  readonly reason: string;
  /** The first damaged object of the range. */
  readonly object: string;
}

/** Ranges come in order. One that follows the last without a gap and for the same reason is part of it. */
export function addDamage(
  ranges: DamagedRange[],
  piece: Pick<DiskPiece, "offset" | "length">,
  why: FarsideError,
): void {
  const { object = "unknown", reason = "unknown" } = defectOf(why) ?? {};
  const toByte = piece.offset + piece.length;
  const last = ranges.at(-1);
  if (last?.toByte === piece.offset && last.reason === reason) ranges[ranges.length - 1] = { ...last, toByte };
  else ranges.push({ fromByte: piece.offset, toByte, reason, object });
}

/** The error of a restore that does not accept lost bytes. */
export function lostBytes(
  why: FarsideError,
  { manifest, disk }: ChosenDisk,
  piece: Pick<DiskPiece, "offset" | "length">,
): FarsideError {
  const [fromByte, toByte] = [piece.offset, piece.offset + piece.length];
  return new FarsideError(
    "vault-corrupt",
    `The disk ${quote(disk.name)} of restore point ${manifest.pointId} cannot be restored: bytes ${fromByte} to ${toByte - 1} are lost. ${why.message} --allow-damaged goes on and fills them with zeros; --disk restores other disks alone.`,
    { cause: why, details: { ...why.details, disk: disk.name, pointId: manifest.pointId, fromByte, toByte } },
  );
}
