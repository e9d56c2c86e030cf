/**
 * A bounded cache of what metadata is read from: windows of 64 KiB. A walk asks for one inode of 256 bytes after the other, and without
 * it each would be a read of its own through all layers below.
 */
import type { BlockDevice } from "../../../ports/block-device.ts";

/** A multiple of the largest block (64 KiB), so that no block lies in two windows. */
const windowBytes = 64 * 1024;
/** 8 MiB in all. */
const maxWindows = 128;

export class MetadataCache {
  readonly #device: BlockDevice;
  /** By window, the one used longest ago first. */
  readonly #windows = new Map<number, Promise<Uint8Array>>();

  constructor(device: BlockDevice) {
    this.#device = device;
  }

  /** The range lies within one block, and so within one window. */
  async read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    const window = Math.floor(offset / windowBytes);
    const at = offset - window * windowBytes;
    const bytes = await this.#window(window, signal);
    return bytes.subarray(at, at + length);
  }

  async #window(window: number, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    const known = this.#windows.get(window);
    const promise = known ?? this.#load(window, signal);
    this.#windows.delete(window);
    this.#windows.set(window, promise);
    if (this.#windows.size > maxWindows) {
      const [oldest] = this.#windows.keys();
      if (oldest !== undefined) this.#windows.delete(oldest);
    }
    try {
      return await promise;
    } catch (error) {
      if (this.#windows.get(window) === promise) this.#windows.delete(window);
      // It failed for another caller, who gave up: this one has not.
      if (known !== undefined && !signal.aborted) return this.#load(window, signal);
      throw error;
    }
  }

  #load(window: number, signal: AbortSignal): Promise<Uint8Array> {
    const offset = window * windowBytes;
    return this.#device.read(offset, Math.min(windowBytes, this.#device.sizeBytes - offset), signal);
  }
}
