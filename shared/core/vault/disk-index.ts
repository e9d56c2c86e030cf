/** FSI1: the root of one disk of one restore point, a list of segment ids (docs/vault-format.md). */
import { corrupt } from "./corrupt.ts";
import { chunkCount, segmentCount } from "./disk-geometry.ts";
import { allowedChunkSizesBytes } from "./limits.ts";
import type { ObjectId } from "./manifest.ts";
import { objectIdAt } from "./object-id.ts";

const magic = "FSI1";
const fixedBytes = 20;

export interface DiskIndex {
  readonly sizeBytes: number;
  readonly chunkSizeBytes: number;
  /** By position: segment `n` holds the disk from `n × 1,024 × chunkSizeBytes`. */
  readonly segments: readonly ObjectId[];
}

/** Plain bytes: `FSI1`, u64 disk size, u32 chunk size, u32 segment count, count × 32-byte ids. */
export function encodeDiskIndex(index: DiskIndex): Buffer<ArrayBuffer> {
  const wanted = segmentCount(index.sizeBytes, index.chunkSizeBytes);
  if (chunkCount(index.sizeBytes, index.chunkSizeBytes) < 1 || index.segments.length !== wanted) {
    throw new RangeError(`A disk of ${index.sizeBytes} bytes has ${wanted} segments, not ${index.segments.length}.`);
  }
  const bytes = Buffer.alloc(fixedBytes + 32 * wanted);
  bytes.write(magic, 0, "latin1");
  bytes.writeBigUInt64LE(BigInt(index.sizeBytes), 4);
  bytes.writeUInt32LE(index.chunkSizeBytes, 12);
  bytes.writeUInt32LE(wanted, 16);
  for (const [at, id] of index.segments.entries()) bytes.write(id, fixedBytes + 32 * at, "hex");
  return bytes;
}

/** `object` names the index in errors; `sizeBytes` is what the manifest says of the disk. */
export function decodeDiskIndex(object: string, bytes: Uint8Array, sizeBytes: number): DiskIndex {
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.length < fixedBytes || view.toString("latin1", 0, 4) !== magic) {
    throw corrupt({ object, reason: "bad-magic", expected: magic }, "its content does not begin with FSI1");
  }
  const size = view.readBigUInt64LE(4);
  if (size !== BigInt(sizeBytes)) {
    const defect = { object, reason: "geometry-mismatch", expected: sizeBytes, found: String(size) } as const;
    throw corrupt(defect, `it is of a disk of ${size} bytes, and the manifest says ${sizeBytes}`);
  }
  const chunkSizeBytes = view.readUInt32LE(12);
  if (!allowedChunkSizesBytes.includes(chunkSizeBytes)) {
    const defect = { object, reason: "geometry-mismatch", found: chunkSizeBytes } as const;
    throw corrupt(defect, `${chunkSizeBytes} is no chunk size of the format`);
  }
  const count = view.readUInt32LE(16);
  const wanted = segmentCount(sizeBytes, chunkSizeBytes);
  if (count !== wanted) {
    const defect = { object, reason: "bad-count", expected: wanted, found: count } as const;
    throw corrupt(defect, `it lists ${count} segments where the disk has ${wanted}`);
  }
  if (view.length !== fixedBytes + 32 * count) {
    const defect = {
      object,
      reason: "length-mismatch",
      expected: fixedBytes + 32 * count,
      found: view.length,
    } as const;
    throw corrupt(defect, `${count} segments make ${defect.expected} bytes, and it has ${view.length}`);
  }
  const segments = Array.from({ length: count }, (_, at) => objectIdAt(view, fixedBytes + 32 * at));
  return { sizeBytes, chunkSizeBytes, segments };
}
