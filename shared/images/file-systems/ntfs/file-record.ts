/** A record of the master file table. Layout: fs/ntfs3/ntfs.h, `MFT_REC`. */
import { imageCorrupt } from "../../image-errors.ts";
import type { Attribute } from "./attribute.ts";
import { parseAttributes } from "./attribute.ts";
import type { FileReference } from "./file-reference.ts";
import { readReference } from "./file-reference.ts";
import { restoreRecord } from "./update-sequence.ts";

export interface FileRecord {
  readonly number: number;
  readonly where: string;
  readonly sequence: number;
  readonly inUse: boolean;
  readonly directory: boolean;
  /** Of the record that this one continues; record 0 with sequence 0 for one that stands alone. */
  readonly base: FileReference;
  readonly attributes: readonly Attribute[];
}

export function parseFileRecord(bytes: Uint8Array, number: number): FileRecord {
  const view = restoreRecord(bytes, "FILE", `NTFS file record ${number}`);
  const flags = view.u16le(22);
  const used = view.u32le(24);
  if (used > view.length) throw imageCorrupt(view.where, `${used} bytes are in use of ${view.length}`);
  return {
    number,
    where: view.where,
    sequence: view.u16le(16),
    inUse: (flags & 1) !== 0,
    directory: (flags & 2) !== 0,
    base: readReference(view, 32),
    attributes: parseAttributes(view, view.u16le(20), used),
  };
}
