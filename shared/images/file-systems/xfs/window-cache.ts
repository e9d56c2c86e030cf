/**
 * Reads of a device in aligned windows, of which the last used are kept: what was written together lies together, so the next structure
 * is mostly there already.
 */
import type { BlockDevice } from "../../../ports/block-device.ts";
import { refuseOutside } from "../../mapped-device.ts";

export class WindowCache {
  readonly #device: BlockDevice;
  readonly #windowBytes: number;
  readonly #most: number;
  readonly #windows = new Map<number, Uint8Array>();

  /** Holds up to `most` windows. */
  constructor(device: BlockDevice, windowBytes: number, most: number) {
    this.#device = device;
    this.#windowBytes = windowBytes;
    this.#most = most;
  }

  /** The bytes may belong to the cache: they are never changed. `where` names what is read, in errors. */
  async read(offset: number, length: number, where: string, signal: AbortSignal): Promise<Uint8Array> {
    refuseOutside(where, this.#device.sizeBytes, offset, length);
    // What is in the cache asks no device, which would look at it.
    signal.throwIfAborted();
    const first = await this.#part(offset, length, signal);
    if (first.length === length) return first;
    const joined = new Uint8Array(length);
    joined.set(first);
    for (let at = first.length; at < length;) {
      const part = await this.#part(offset + at, length - at, signal);
      joined.set(part, at);
      at += part.length;
    }
    return joined;
  }

  /** What the window at `offset` has of the range. */
  async #part(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const number = Math.floor(offset / this.#windowBytes);
    const from = offset - number * this.#windowBytes;
    return (await this.#window(number, signal)).subarray(from, from + length);
  }

  async #window(number: number, signal: AbortSignal): Promise<Uint8Array> {
    const known = this.#windows.get(number);
    if (known !== undefined) {
      // A map keeps the order of insertion: the last used comes last.
      this.#windows.delete(number);
      this.#windows.set(number, known);
      return known;
    }
    const offset = number * this.#windowBytes;
    const length = Math.min(this.#windowBytes, this.#device.sizeBytes - offset);
    const read = await this.#device.read(offset, length, signal);
    for (const oldest of this.#windows.keys()) {
      if (this.#windows.size < this.#most) break;
      this.#windows.delete(oldest);
    }
    this.#windows.set(number, read);
    return read;
  }
}
