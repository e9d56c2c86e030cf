/** FSS1: the ids of up to 1,024 consecutive chunks of a disk (docs/vault-format.md). */
import { corrupt } from "./corrupt.ts";
import { segmentChunks } from "./limits.ts";
import type { ObjectId } from "./manifest.ts";
import { objectIdAt } from "./object-id.ts";

const magic = "FSS1";

/** Plain bytes: `FSS1`, u32 count, count × 32-byte ids. */
export function encodeSegment(chunkIds: readonly ObjectId[]): Buffer<ArrayBuffer> {
  if (chunkIds.length < 1 || chunkIds.length > segmentChunks) {
    throw new RangeError(`A segment has 1 to ${segmentChunks} chunks, not ${chunkIds.length}.`);
  }
  const bytes = Buffer.alloc(segmentBytes(chunkIds.length));
  bytes.write(magic, 0, "latin1");
  bytes.writeUInt32LE(chunkIds.length, 4);
  for (const [at, id] of chunkIds.entries()) bytes.write(id, 8 + 32 * at, "hex");
  return bytes;
}

/** How long a segment of so many chunks is. */
export function segmentBytes(chunkCount: number): number {
  return 8 + 32 * chunkCount;
}

/** The chunk ids, in order. `object` names the segment in errors; `chunkCount` is what its place in the disk asks for. */
export function decodeSegment(object: string, bytes: Uint8Array, chunkCount: number): readonly ObjectId[] {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < 8 || view.toString("latin1", 0, 4) !== magic) {
    throw corrupt({ object, reason: "bad-magic", expected: magic }, "its content does not begin with FSS1");
  }
  const count = view.readUInt32LE(4);
  if (count !== chunkCount) {
    const defect = { object, reason: "bad-count", expected: chunkCount, found: count } as const;
    throw corrupt(defect, `it lists ${count} chunks where the disk has ${chunkCount}`);
  }
  if (view.length !== segmentBytes(count)) {
    const defect = { object, reason: "length-mismatch", expected: segmentBytes(count), found: view.length } as const;
    throw corrupt(defect, `${count} chunks make ${segmentBytes(count)} bytes, and it has ${view.length}`);
  }
  return Array.from({ length: count }, (_, at) => objectIdAt(view, 8 + 32 * at));
}
