/** Writes something small as a disk is kept: chunks, segments, an index. For what is held in memory whole. */
import { segmentChunks } from "../../core/vault/limits.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { encodeSegment } from "../../core/vault/segment.ts";
import { zeroObjectId } from "../../core/vault/object-id.ts";
import { createObjectWriter } from "./object-writer.ts";
import type { OpenVault } from "./open-vault.ts";
import { writeDiskIndex } from "./write-index.ts";
import type { Session } from "./write-object.ts";

/** Gives the id of its disk index. Done twice it writes nothing the second time. */
export async function writeImage(
  vault: OpenVault,
  content: Uint8Array,
  session: Session,
  signal: AbortSignal,
): Promise<ObjectId> {
  const { chunkSizeBytes } = vault.descriptor;
  const writer = createObjectWriter(vault, session, signal);
  const chunks: ObjectId[] = [];
  for (let at = 0; at < content.length; at += chunkSizeBytes) {
    chunks.push((await writer.write("data", content.subarray(at, at + chunkSizeBytes))).id);
  }
  const segments: ObjectId[] = [];
  for (let at = 0; at < chunks.length; at += segmentChunks) {
    const ids = chunks.slice(at, at + segmentChunks);
    const isZero = ids.every((id) => id === zeroObjectId);
    segments.push(isZero ? zeroObjectId : (await writer.write("segment", encodeSegment(ids))).id);
  }
  const index = { sizeBytes: content.length, chunkSizeBytes, segments };
  return (await writeDiskIndex(vault, index, session, signal)).id;
}
