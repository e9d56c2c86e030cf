/** One entry of a directory as it is stored, in any of the formats. */
import type { DirectoryEntry, FileKind } from "../../../ports/file-system.ts";
import type { ByteView } from "../../byte-view.ts";
import { decodeFileName } from "../../file-name.ts";
import { imageCorrupt } from "../../image-errors.ts";

export interface RawEntry {
  readonly name: Uint8Array;
  readonly inode: number;
  /** XFS_DIR3_FT_*; 0 where the directory does not say it. */
  readonly type: number;
}

/** XFS_DIR3_FT_REG_FILE is 1. */
const kinds: readonly (FileKind | undefined)[] = [
  undefined,
  "file",
  "directory",
  "character-device",
  "block-device",
  "fifo",
  "socket",
  "link",
];

/** Undefined for `.` and `..`. Throws `image-corrupt` for a name that no kernel writes. */
export function toDirectoryEntry(raw: RawEntry, view: ByteView): DirectoryEntry | undefined {
  const { name } = raw;
  const dots = name.every((byte) => byte === 0x2e) && name.length <= 2;
  if (name.length === 0 || name.includes(0) || name.includes(0x2f)) {
    throw imageCorrupt(view.where, "it has a name that no file can have");
  }
  return dots ? undefined : { name: decodeFileName(name), node: raw.inode, kind: kinds[raw.type] };
}
