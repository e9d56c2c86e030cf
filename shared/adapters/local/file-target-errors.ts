/** What keeps a disk from becoming a file, and what a person does about it. */
import { FarsideError } from "../../core/errors.ts";
import { vhdFooterBytes } from "../../core/vhd.ts";
import type { TargetDisk } from "../../ports/disk-target.ts";
import { hasErrno } from "./errno.ts";
import { lookAtFile } from "./look-at-file.ts";
import { statePathOf, unfinishedPath, type UnfinishedFile } from "./unfinished-file.ts";

/** What the system said to an action for this disk, as an error that tells what to do. */
export async function attempt(disk: TargetDisk, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (cause) {
    if (hasErrno(cause, "EEXIST")) {
      throw (await lookAtFile(disk.url)) === undefined ? foreignWork(disk, undefined) : finalExists(disk);
    }
    if (hasErrno(cause, "EISDIR", "ENOTEMPTY")) throw finalExists(disk);
    if (hasErrno(cause, "ENOSPC", "EDQUOT")) {
      throw new FarsideError(
        "target-full",
        `There is no space left for ${disk.url}, a disk of ${disk.sizeBytes} bytes: free some (${disk.sizeBytes + vhdFooterBytes} at most), or restore to another folder.`,
        { cause, details: { path: disk.url } },
      );
    }
    if (hasErrno(cause, "EFBIG")) {
      throw new FarsideError(
        "target-full",
        `The file system of ${disk.url}, or this process's limit (ulimit -f), allows no file of ${disk.sizeBytes} bytes.`,
        { cause, details: { path: disk.url } },
      );
    }
    if (hasErrno(cause, "ENOTDIR", "ENOENT")) {
      throw new FarsideError(
        "unavailable",
        `${disk.url} cannot be made: a file stands on the way to it, or the folder is gone or takes no files. Give another folder.`,
        { cause, details: { path: disk.url } },
      );
    }
    if (hasErrno(cause, "EACCES", "EPERM", "EROFS")) {
      throw new FarsideError("forbidden", `${disk.url} may not be written: check the folder's permissions.`, { cause });
    }
    throw cause;
  }
}

export function finalExists(disk: TargetDisk): FarsideError {
  return new FarsideError(
    "target-exists",
    `${disk.url} exists already and is not overwritten: remove it, restore to another folder, or give --overwrite.`,
    { details: { disk: disk.name, path: disk.url } },
  );
}

export function foreignWork(disk: TargetDisk, state: UnfinishedFile | undefined): FarsideError {
  const of =
    state?.pointId === undefined
      ? "another restore"
      : `another restore, of ${state.disk} of restore point ${state.pointId}`;
  return new FarsideError(
    "target-exists",
    `${unfinishedPath(disk)} is the unfinished work of ${of}: run that one again to end it, remove it (rm ${unfinishedPath(disk)} ${statePathOf(unfinishedPath(disk))}), or give --overwrite.`,
    {
      details: {
        disk: disk.name,
        path: unfinishedPath(disk),
        ...(state?.pointId === undefined ? {} : { pointId: state.pointId }),
      },
    },
  );
}
