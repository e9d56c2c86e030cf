import { lstat } from "node:fs/promises";
import { hasErrno } from "./errno.ts";

export interface FoundFile {
  /** The same for every name of a file, and of no other file of this machine as long as it is there. */
  readonly fileId: string;
  readonly sizeBytes: number;
  readonly isFile: boolean;
}

/** Of a link the link itself. Undefined where nothing stands. */
export async function lookAtFile(path: string): Promise<FoundFile | undefined> {
  try {
    const found = await lstat(path);
    return { fileId: `${found.dev}:${found.ino}`, sizeBytes: found.size, isFile: found.isFile() };
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}
