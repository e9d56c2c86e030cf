/**
 * What is to be done with each chunk of one segment, from the ranges that the source names inside it.
 *
 * Chunks are read whole or not at all. `keep` is the parent's id at that place; `zero` needs no reading.
 */
import type { DiskMethod } from "./run.ts";

export type ChunkWork = "keep" | "zero" | "read";

export interface SegmentPlace {
  readonly fromByte: number;
  /** Not part of it. */
  readonly toByte: number;
  readonly chunkSizeBytes: number;
  readonly chunkCount: number;
}

export interface NamedRange {
  readonly offset: number;
  readonly length: number;
  readonly kind: "data" | "zero";
}

/**
 * Collects ranges and says what each chunk needs. With `diff`, what is not named is the parent's; with `all` and `compare`,
 * whose ranges are the allocated ones, it is zeros.
 */
export class SegmentWork {
  readonly #place: SegmentPlace;
  readonly #method: DiskMethod;
  readonly #hasData: Uint8Array;
  readonly #zeroBytes: Float64Array;
  /** Bytes named, zeros too. */
  namedBytes = 0;

  constructor(place: SegmentPlace, method: DiskMethod) {
    this.#place = place;
    this.#method = method;
    this.#hasData = new Uint8Array(place.chunkCount);
    this.#zeroBytes = new Float64Array(place.chunkCount);
  }

  add(range: NamedRange): void {
    const { fromByte, toByte, chunkSizeBytes } = this.#place;
    const start = Math.max(range.offset, fromByte);
    const end = Math.min(range.offset + range.length, toByte);
    if (start >= end) return;
    this.namedBytes += end - start;
    for (let at = start; at < end;) {
      const chunk = Math.floor((at - fromByte) / chunkSizeBytes);
      const until = Math.min(end, fromByte + (chunk + 1) * chunkSizeBytes);
      if (range.kind === "data") this.#hasData[chunk] = 1;
      else this.#zeroBytes[chunk] = (this.#zeroBytes[chunk] ?? 0) + until - at;
      at = until;
    }
  }

  /** The chunk that holds this byte must be read, whatever the source says of it. */
  force(byte: number): void {
    this.add({ offset: byte, length: 1, kind: "data" });
    this.namedBytes -= byte >= this.#place.fromByte && byte < this.#place.toByte ? 1 : 0;
  }

  chunks(): readonly ChunkWork[] {
    const { fromByte, toByte, chunkSizeBytes, chunkCount } = this.#place;
    return Array.from({ length: chunkCount }, (_, chunk): ChunkWork => {
      if (this.#hasData[chunk] === 1) return "read";
      const zeroBytes = this.#zeroBytes[chunk] ?? 0;
      const length = Math.min(chunkSizeBytes, toByte - fromByte - chunk * chunkSizeBytes);
      if (zeroBytes >= length) return "zero";
      if (zeroBytes > 0) return "read";
      return this.#method === "diff" ? "keep" : "zero";
    });
  }
}

export interface ReadGroup {
  readonly firstChunk: number;
  readonly chunks: number;
}

/** Adjacent chunks to read together, at most `maxChunks` in one read: larger reads are cheaper. */
export function readGroups(work: readonly ChunkWork[], maxChunks: number): readonly ReadGroup[] {
  const groups: { firstChunk: number; chunks: number }[] = [];
  for (const [chunk, what] of work.entries()) {
    if (what !== "read") continue;
    const last = groups.at(-1);
    if (last !== undefined && last.firstChunk + last.chunks === chunk && last.chunks < maxChunks) last.chunks++;
    else groups.push({ firstChunk: chunk, chunks: 1 });
  }
  return groups;
}
