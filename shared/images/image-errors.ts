/** Errors of what a disk image holds. Messages name the structure and where it lies; nothing of the image's text is trusted in them. */
import { FarsideError } from "../core/errors.ts";

/** `where`: the structure, as its format calls it, with its number or offset: "ext4 inode 12", "GPT header at byte 512". */
export function imageCorrupt(where: string, what: string): FarsideError {
  return new FarsideError("image-corrupt", `The disk image is damaged at the ${where}: ${what}.`, {
    details: { where },
  });
}

export function notSupported(what: string): FarsideError {
  return new FarsideError(
    "not-supported",
    `${what} cannot be read yet: use "farside export" and a system that knows it.`,
    {
      details: { what },
    },
  );
}
