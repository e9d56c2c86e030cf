/**
 * Whether a reader reads on, and how far ahead it is worth to fetch. Several readers may be at work on one disk: each is known by the
 * byte at which it will read on.
 *
 * A reader is ahead of nothing until it has read on across the end of a chunk; from then on the distance doubles with each chunk
 * that it enters, up to `maxChunks`. Whoever jumps, or stays within a chunk as readers of metadata do, causes no fetch.
 */
export class ReadAhead {
  readonly #maxChunks: number;
  /** By the byte where the reader will read on; oldest first. */
  readonly #readers = new Map<number, { readonly lastChunk: number; readonly distance: number }>();

  constructor(maxChunks: number) {
    this.#maxChunks = maxChunks;
  }

  /** Notes a read of at least one byte. Gives the chunks to fetch ahead, `to` not being one of them, or undefined. */
  note(
    offset: number,
    length: number,
    chunkSizeBytes: number,
  ): { readonly from: number; readonly to: number } | undefined {
    const before = this.#readers.get(offset);
    this.#readers.delete(offset);
    const lastChunk = Math.floor((offset + length - 1) / chunkSizeBytes);
    const entered = before !== undefined && lastChunk > before.lastChunk;
    const distance = entered ? Math.min(this.#maxChunks, Math.max(1, before.distance * 2)) : (before?.distance ?? 0);
    this.#readers.set(offset + length, { lastChunk, distance });
    if (this.#readers.size > readersKnown) {
      const [oldest] = this.#readers.keys();
      if (oldest !== undefined) this.#readers.delete(oldest);
    }
    return entered && distance > 0 ? { from: lastChunk + 1, to: lastChunk + 1 + distance } : undefined;
  }
}

/** Readers of one disk that are told apart: a client of a network block device keeps a few at work, a walk one. */
const readersKnown = 16;
