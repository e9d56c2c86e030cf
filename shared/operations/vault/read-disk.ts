/**
 * Reads a disk of a restore point: its index, its segments, its chunks.
 *
 * Memory of `readDisk`: `parallelism` chunks, each once stored and once plain while it is decoded, three segments of 1,024 ids
 * (about 100 KiB each), and the disk's index (32 bytes, as text about 100, for each GiB). Never more, whatever the disk's size.
 */
import { corrupt } from "../../core/vault/corrupt.ts";
import { FarsideError, hasCode } from "../../core/errors.ts";
import { chunkLength, segmentChunkCount } from "../../core/vault/disk-geometry.ts";
import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { decodeDiskIndex } from "../../core/vault/disk-index.ts";
import { segmentChunks } from "../../core/vault/limits.ts";
import type { ManifestDisk } from "../../core/vault/manifest.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { objectName, zeroObjectId } from "../../core/vault/object-id.ts";
import { decodeSegment, segmentBytes } from "../../core/vault/segment.ts";
import { mapOrdered } from "./map-ordered.ts";
import type { OpenVault } from "./open-vault.ts";
import { readObject } from "./read-object.ts";

/** What a reader needs to know of a disk. */
export type DiskRef = Pick<ManifestDisk, "index" | "sizeBytes">;

/** A stretch of a disk. `offset` counts from the disk's start; stretches follow each other without a gap. */
export type DiskPiece =
  | {
      readonly kind: "zero";
      readonly offset: number;
      readonly length: number;
      /** Set where the bytes are lost, with `damaged: "zero"`: the `vault-corrupt` that says why. */
      readonly damage?: FarsideError;
    }
  | {
      readonly kind: "data";
      readonly offset: number;
      readonly length: number;
      readonly content: Uint8Array<ArrayBuffer>;
    };

export interface ReadDiskOptions {
  /** In bytes from the disk's start; the whole disk where left out. `toByte` is not part of it. */
  readonly fromByte?: number;
  readonly toByte?: number;
  /** Chunks read at once. */
  readonly parallelism?: number;
  /** What a damaged or missing chunk or segment does: ends the reading (the default), or is a stretch of zeros that says so. */
  readonly damaged?: "throw" | "zero";
}

export interface DiskSegment {
  /** From 0. */
  readonly number: number;
  /** Zero id: nothing but zeros. */
  readonly id: ObjectId;
  readonly chunkCount: number;
  readonly fromByte: number;
  /** Not part of it. */
  readonly toByte: number;
}

const defaultParallelism = 8;
const segmentsAhead = 2;

/** Throws `vault-corrupt` where the index is missing, damaged, or of a disk of another size. */
export async function readDiskIndex(vault: OpenVault, disk: DiskRef, signal: AbortSignal): Promise<DiskIndex> {
  const object = objectName("disk-index", disk.index);
  const plain = await readObject(vault, "disk-index", disk.index, signal);
  const index = decodeDiskIndex(object, plain, disk.sizeBytes);
  if (index.chunkSizeBytes > vault.descriptor.chunkSizeBytes) {
    const defect = {
      object,
      reason: "geometry-mismatch",
      expected: vault.descriptor.chunkSizeBytes,
      found: index.chunkSizeBytes,
    } as const;
    throw corrupt(defect, `its chunks of ${index.chunkSizeBytes} bytes are bigger than the vault's`);
  }
  return index;
}

/** The segments of a disk with their places. */
export function diskSegments(index: DiskIndex): readonly DiskSegment[] {
  return index.segments.map((_, number) => diskSegment(index, number));
}

/** `number` is one that the disk has. */
export function diskSegment(index: DiskIndex, number: number): DiskSegment {
  const bytes = index.chunkSizeBytes * segmentChunks;
  return {
    number,
    id: index.segments[number] ?? zeroObjectId,
    chunkCount: segmentChunkCount(index.sizeBytes, index.chunkSizeBytes, number),
    fromByte: number * bytes,
    toByte: Math.min(index.sizeBytes, (number + 1) * bytes),
  };
}

/** The chunk ids of a segment; of the zero segment too, which is not stored. */
export async function readSegment(
  vault: OpenVault,
  segment: Pick<DiskSegment, "id" | "chunkCount">,
  signal: AbortSignal,
): Promise<readonly ObjectId[]> {
  if (segment.id === zeroObjectId) return Array<ObjectId>(segment.chunkCount).fill(zeroObjectId);
  const plain = await readObject(vault, "segment", segment.id, signal, segmentBytes(segment.chunkCount));
  return decodeSegment(objectName("segment", segment.id), plain, segment.chunkCount);
}

/** The disk's content in order, in chunks and in stretches of zeros. Throws `vault-corrupt`, `bad-input` (a wrong range). */
export async function* readDisk(
  vault: OpenVault,
  disk: DiskRef,
  options: ReadDiskOptions,
  signal: AbortSignal,
): AsyncGenerator<DiskPiece, void, undefined> {
  const { parallelism = defaultParallelism, damaged = "throw" } = options;
  const index = await readDiskIndex(vault, disk, signal);
  const fetch = async (plan: PiecePlan, aborted: AbortSignal): Promise<DiskPiece> => {
    try {
      return await fetchPiece(vault, index, plan, aborted);
    } catch (error) {
      if (damaged === "throw" || !hasCode(error, "vault-corrupt")) throw error;
      return { kind: "zero", offset: plan.offset, length: plan.length, damage: error };
    }
  };
  yield* mapOrdered(planDisk(vault, index, options, signal), parallelism, fetch, signal);
}

/** What `readDisk` reads, without reading its chunks: for a caller that bounds what is in memory by itself. */
export async function* planDisk(
  vault: OpenVault,
  index: DiskIndex,
  options: Omit<ReadDiskOptions, "parallelism">,
  signal: AbortSignal,
): AsyncGenerator<PiecePlan, void, undefined> {
  const { fromByte = 0, toByte = index.sizeBytes, damaged = "throw" } = options;
  if (!(fromByte >= 0 && fromByte <= toByte && toByte <= index.sizeBytes)) {
    const range = `${fromByte} to ${toByte}`;
    throw new FarsideError("bad-input", `The range ${range} is not within a disk of ${index.sizeBytes} bytes.`);
  }
  const segments = diskSegments(index).filter((one) => one.toByte > fromByte && one.fromByte < toByte);
  const read = async (segment: DiskSegment, aborted: AbortSignal): Promise<ReadSegment> => {
    if (segment.id === zeroObjectId) return { segment };
    try {
      return { segment, chunkIds: await readSegment(vault, segment, aborted) };
    } catch (error) {
      if (damaged === "throw" || !hasCode(error, "vault-corrupt")) throw error;
      return { segment, damage: error };
    }
  };
  yield* planPieces(mapOrdered(segments, segmentsAhead, read, signal), index, fromByte, toByte);
}

interface ReadSegment {
  readonly segment: DiskSegment;
  /** None for the zero segment, and for a damaged one. */
  readonly chunkIds?: readonly ObjectId[] | undefined;
  readonly damage?: FarsideError;
}

/** What a stretch of a disk is made of, before it is read. A chunk's stretch never leaves the chunk. */
export type PiecePlan =
  | Extract<DiskPiece, { kind: "zero" }>
  | { readonly kind: "chunk"; readonly offset: number; readonly length: number; readonly id: ObjectId };

async function* planPieces(
  segments: AsyncIterable<ReadSegment>,
  index: DiskIndex,
  fromByte: number,
  toByte: number,
): AsyncGenerator<PiecePlan, void, undefined> {
  for await (const segment of segments) yield* planSegment(segment, index, fromByte, toByte);
}

/** The part of the range that lies in the segment; without chunk ids it is zeros. */
export function* planSegment(
  { segment, chunkIds, damage }: ReadSegment,
  index: DiskIndex,
  fromByte: number,
  toByte: number,
): Generator<PiecePlan, void, undefined> {
  const start = Math.max(fromByte, segment.fromByte);
  const end = Math.min(toByte, segment.toByte);
  if (start >= end) return;
  if (chunkIds === undefined) {
    yield { kind: "zero", offset: start, length: end - start, ...(damage === undefined ? {} : { damage }) };
    return;
  }
  let at = start;
  while (at < end) {
    const first = Math.floor((at - segment.fromByte) / index.chunkSizeBytes);
    const id = chunkIds[first] ?? zeroObjectId;
    let next = first + 1;
    if (id === zeroObjectId) while (next < chunkIds.length && chunkIds[next] === zeroObjectId) next += 1;
    const until = Math.min(end, segment.fromByte + next * index.chunkSizeBytes);
    yield id === zeroObjectId
      ? { kind: "zero", offset: at, length: until - at }
      : { kind: "chunk", offset: at, length: until - at, id };
    at = until;
  }
}

export async function fetchPiece(
  vault: OpenVault,
  index: DiskIndex,
  plan: PiecePlan,
  signal: AbortSignal,
): Promise<DiskPiece> {
  if (plan.kind === "zero") return plan;
  const { offset, length } = plan;
  const chunk = Math.floor(offset / index.chunkSizeBytes);
  const plainBytes = chunkLength(index.sizeBytes, index.chunkSizeBytes, chunk);
  const whole = await readObject(vault, "data", plan.id, signal, plainBytes);
  const within = offset - chunk * index.chunkSizeBytes;
  return { kind: "data", offset, length, content: whole.subarray(within, within + length) };
}
