/** The blocks that replaying changed, in memory: the image itself is never written. */
import type { BlockDevice } from "../../../../ports/block-device.ts";
import { imageCorrupt, notSupported } from "../../../image-errors.ts";
import { overlayDevice } from "../../../overlay-device.ts";
import { WindowCache } from "../window-cache.ts";

/**
 * What one log may change, in bytes of whole blocks. Logs are mostly 16 to 64 MiB (mkfs.xfs), of which what is on disk already is free; an
 * item of 200 bytes can change a block of 4 KiB, so a full log of 64 MiB of such items needs about this much.
 */
const defaultBudgetBytes = 256 * 1024 * 1024;
/** Blocks are changed one by one; what lies together is read at once. 16 MiB in all. */
const windowBytes = 64 * 1024;
const maxWindows = 256;

export class ReplayedBlocks {
  readonly #base: BlockDevice;
  readonly #cache: WindowCache;
  readonly #blockBytes: number;
  readonly #budgetBytes: number;
  readonly #blocks = new Map<number, Uint8Array>();

  constructor(base: BlockDevice, blockBytes: number, budgetBytes: number = defaultBudgetBytes) {
    this.#base = base;
    this.#cache = new WindowCache(base, windowBytes, maxWindows);
    this.#blockBytes = blockBytes;
    this.#budgetBytes = budgetBytes;
  }

  get count(): number {
    return this.#blocks.size;
  }

  /** A copy, with all that was written before. */
  async read(offset: number, length: number, where: string, signal: AbortSignal): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    for (const part of this.#parts(offset, length, where)) {
      const block = this.#blocks.get(part.number);
      const source =
        block?.subarray(part.from, part.from + part.length) ??
        (await this.#cache.read(offset + part.at, part.length, where, signal));
      bytes.set(source, part.at);
    }
    return bytes;
  }

  /** Throws `not-supported` where more than the budget would be changed. */
  async write(offset: number, bytes: Uint8Array, where: string, signal: AbortSignal): Promise<void> {
    for (const part of this.#parts(offset, bytes.length, where)) {
      const block = await this.#load(part.number, where, signal);
      block.set(bytes.subarray(part.at, part.at + part.length), part.from);
    }
  }

  /** The device as it would be after the replay. The blocks belong to it from then on. */
  device(): BlockDevice {
    return overlayDevice("XFS device with its log replayed", this.#base, this.#blockBytes, this.#blocks);
  }

  async #load(number: number, where: string, signal: AbortSignal): Promise<Uint8Array> {
    const known = this.#blocks.get(number);
    if (known !== undefined) return known;
    if ((this.#blocks.size + 1) * this.#blockBytes > this.#budgetBytes) {
      throw notSupported(`An XFS log that changes more than ${this.#budgetBytes / 2 ** 20} MiB of blocks`);
    }
    const block = new Uint8Array(await this.#cache.read(number * this.#blockBytes, this.#blockBytes, where, signal));
    this.#blocks.set(number, block);
    return block;
  }

  *#parts(offset: number, length: number, where: string): Generator<Part> {
    const size = this.#blockBytes;
    // Blocks count from the device's start; one that is cut off by its end belongs to no file system.
    const end = Math.floor(this.#base.sizeBytes / size) * size;
    if (!Number.isSafeInteger(offset) || offset < 0 || offset + length > end) {
      throw imageCorrupt(where, "it is beyond the device's end");
    }
    for (let at = 0; at < length;) {
      const number = Math.floor((offset + at) / size);
      const from = offset + at - number * size;
      const here = Math.min(size - from, length - at);
      yield { number, from, at, length: here };
      at += here;
    }
  }
}

/** `length` bytes of a block from `from`, which are those at `at` of the range. */
interface Part {
  readonly number: number;
  readonly from: number;
  readonly at: number;
  readonly length: number;
}
