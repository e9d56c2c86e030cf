import { createHash } from "node:crypto";
import type { RunId } from "../../core/ids.ts";
import { parseRunId } from "../../core/ids.ts";
import { epochMs } from "../../core/timestamp.ts";
import { ulid } from "../../core/ulid.ts";
import type { ChosenDisk } from "./choose-restore.ts";

/**
 * The id of a restore of one disk, derived from what is restored and where to: the same restore, asked for again, knows its own
 * unfinished work by it. `place` is what sets two targets of one disk apart: a format, or a URL (never one with a SAS).
 */
export function restoreIdOf({ manifest, disk }: ChosenDisk, place: string): RunId {
  const what = [manifest.vaultId, manifest.vmId, manifest.pointId, manifest.mac, disk.name, disk.index, place];
  const tail = createHash("sha256").update(JSON.stringify(what)).digest().subarray(0, 10);
  return parseRunId(ulid(epochMs(manifest.snapshotAt), tail));
}
