/**
 * Fetches what clients will read next into the cache that is behind a device. Of each export the last few places are kept where a
 * reading went on from one request to the next, over all connections: a copy by several connections is one reading or a few.
 */
import type { BlockDevice } from "../../ports/block-device.ts";

/** One fetch: a chunk of most vaults. */
const stepBytes = 1024 * 1024;
/** Readings that are told apart. */
const readingsKept = 16;

interface Reading {
  /** Where its furthest request ended. */
  end: number;
  /** Up to where it was fetched ahead. */
  fetched: number;
  /** Bytes that were read one after another. */
  read: number;
}

export class ReadAhead {
  readonly #device: BlockDevice;
  readonly #aheadBytes: number;
  readonly #signal: AbortSignal;
  #readings: Reading[] = [];
  #fetching = 0;

  constructor(device: BlockDevice, aheadBytes: number, signal: AbortSignal) {
    this.#device = device;
    this.#aheadBytes = aheadBytes;
    this.#signal = signal;
  }

  /** A client reads this range now. */
  onRead(offset: number, length: number): void {
    if (this.#aheadBytes === 0) return;
    const reading = this.#follow(offset, length);
    if (reading.read < stepBytes) return;
    const until = Math.min(this.#device.sizeBytes, reading.end + this.#aheadBytes);
    reading.fetched = Math.max(reading.fetched, reading.end);
    reading.fetched = this.#fetch(reading.fetched, until);
  }

  /** A client says that it will read this range; no more of it is fetched than would be by itself. */
  onHint(offset: number, length: number): void {
    if (this.#aheadBytes > 0) this.#fetch(offset, offset + Math.min(length, this.#aheadBytes));
  }

  /** Starts what there is room for, and says up to where that is. */
  #fetch(from: number, until: number): number {
    let at = from;
    while (at < until && this.#fetching * stepBytes < this.#aheadBytes) {
      const next = Math.min(until, (Math.floor(at / stepBytes) + 1) * stepBytes);
      // Whole steps, so that each is fetched once.
      if (next % stepBytes !== 0 && next < this.#device.sizeBytes) break;
      void this.#fetchStep(at, next - at);
      at = next;
    }
    return at;
  }

  async #fetchStep(offset: number, length: number): Promise<void> {
    this.#fetching += 1;
    try {
      for await (const extent of this.#device.extents(offset, length, this.#signal)) {
        if (extent.kind === "data") await this.#device.read(extent.offset, extent.length, this.#signal);
      }
    } catch {
      // Whoever reads it meets the same error, and it is told then.
    } finally {
      this.#fetching -= 1;
    }
  }

  /**
   * The reading that this request belongs to. Requests sent at once come out of order, so near its end is next; near in terms of their
   * own length: small reads here and there are no reading.
   */
  #follow(offset: number, length: number): Reading {
    const slack = 4 * length;
    const found = this.#readings.find(({ end }) => offset >= end - slack && offset <= end + slack);
    const reading = found ?? { end: offset, fetched: 0, read: 0 };
    reading.end = Math.max(reading.end, offset + length);
    reading.read += length;
    this.#readings = [reading, ...this.#readings.filter((one) => one !== reading)].slice(0, readingsKept);
    return reading;
  }
}
