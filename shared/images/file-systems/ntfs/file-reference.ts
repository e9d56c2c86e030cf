/**
 * What names a file: the number of its record in the master file table (48 bits) and how often that record was used (16 bits). The
 * second number tells a stale name from a file that took the record over.
 *
 * A NodeId holds both: `sequence * 2^32 + record`, below 2^48. NTFS allows 2^32 - 1 files, so no record number of a real volume is
 * longer.
 */
import type { NodeId } from "../../../ports/file-system.ts";
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";

export interface FileReference {
  readonly record: number;
  /** 0: any. */
  readonly sequence: number;
}

const recordLimit = 2 ** 32;

export function readReference(view: ByteView, at: number): FileReference {
  const record = view.u32le(at) + view.u16le(at + 4) * recordLimit;
  if (record >= recordLimit) throw imageCorrupt(view.where, `the file record ${record} is beyond the limit of NTFS`);
  return { record, sequence: view.u16le(at + 6) };
}

export function nodeOf(reference: FileReference): NodeId {
  return reference.sequence * recordLimit + reference.record;
}

export function referenceOf(node: NodeId): FileReference {
  return { record: node % recordLimit, sequence: Math.floor(node / recordLimit) };
}
