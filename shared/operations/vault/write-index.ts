/** Segments, disk indexes and documents: what a restore point is made of, besides its chunks. */
import { canonicalJsonBytes } from "../../core/vault/canonical-json.ts";
import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { encodeDiskIndex } from "../../core/vault/disk-index.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { encodeSegment } from "../../core/vault/segment.ts";
import type { OpenVault } from "./open-vault.ts";
import type { Session, WrittenObject } from "./write-object.ts";
import { writeObject } from "./write-object.ts";

/**
 * The segment of these chunks, 1,024 of them or what is left at the end of the disk. Of nothing but zeros it is the zero id
 * (`zeroObjectId`), which is known without calling this, and never stored.
 */
export function writeSegment(
  vault: OpenVault,
  chunkIds: readonly ObjectId[],
  session: Session,
  signal: AbortSignal,
): Promise<WrittenObject> {
  return writeObject(vault, "segment", encodeSegment(chunkIds), session, signal);
}

/** `index.segments` are all segments of the disk, in order. */
export function writeDiskIndex(
  vault: OpenVault,
  index: DiskIndex,
  session: Session,
  signal: AbortSignal,
): Promise<WrittenObject> {
  return writeObject(vault, "disk-index", encodeDiskIndex(index), session, signal);
}

/** A document, such as a VM's captured configuration: plain JSON with integers only, stored in canonical form. */
export function writeDocument(
  vault: OpenVault,
  document: unknown,
  session: Session,
  signal: AbortSignal,
): Promise<WrittenObject> {
  return writeObject(vault, "document", canonicalJsonBytes(document), session, signal);
}
