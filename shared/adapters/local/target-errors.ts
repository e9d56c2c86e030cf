/** What this machine says when something cannot be written, as errors that tell what to do. */
import { FarsideError } from "../../core/errors.ts";
import { hasErrno } from "./errno.ts";

/** Errors of other kinds stay as they are. */
export function targetError(path: string, cause: unknown): unknown {
  if (!(cause instanceof Error) || cause instanceof FarsideError) return cause;
  if (hasErrno(cause, "EEXIST", "ENOTEMPTY", "EISDIR", "ENOTDIR", "ELOOP")) {
    return new FarsideError(
      "target-exists",
      `${path}, or what stands on the way to it, exists already and is not replaced: take it out elsewhere, or give --overwrite where files may be replaced.`,
      { cause, details: { path } },
    );
  }
  if (hasErrno(cause, "ENOSPC", "EDQUOT")) {
    return new FarsideError("target-full", `There is no space left for ${path}: free some, or give another folder.`, {
      cause,
      details: { path },
    });
  }
  if (hasErrno(cause, "ENOENT")) {
    return new FarsideError(
      "unavailable",
      `${path} cannot be made: the folder it belongs into is gone, or takes no files. Give another folder.`,
      { cause, details: { path } },
    );
  }
  if (hasErrno(cause, "EACCES", "EPERM", "EROFS")) {
    return new FarsideError("forbidden", `${path} may not be written: check the permissions of the folder.`, { cause });
  }
  if (hasErrno(cause, "ENAMETOOLONG", "EILSEQ", "EINVAL", "EFBIG")) {
    return new FarsideError(
      "bad-input",
      `${path} cannot be written here: its name or its size is not for this system.`,
      {
        cause,
      },
    );
  }
  return cause;
}
