/**
 * The log: a ring of blocks of 512 bytes ("basic blocks", whatever the sectors are), each stamped with the number of the turn ("cycle")
 * in which it was written.
 */
import type { BlockDevice } from "../../../../ports/block-device.ts";
import { ByteView } from "../../../byte-view.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import { blockOffset } from "../addresses.ts";
import type { Superblock } from "../superblock.ts";
import { WindowCache } from "../window-cache.ts";

export const logBlockBytes = 512;
/** XLOG_HEADER_MAGIC_NUM: a block that begins a record. */
export const recordMagic = 0xfeedbabe;
/** XFS_MAX_LOG_BYTES. */
const maxLogBytes = 2 ** 31;
/** Records are read in order, up to three times: 64 MiB of them stay. */
const windowBytes = 1024 * 1024;
const maxWindows = 64;

export class LogArea {
  readonly blockCount: number;
  /** Blocks may be larger than 32 KiB a record only in logs of version 2. */
  readonly version2: boolean;
  readonly superblock: Superblock;
  readonly #start: number;
  readonly #cache: WindowCache;

  constructor(superblock: Superblock, device: BlockDevice) {
    const { logStart, logBlocks, blockBytes, features } = superblock;
    const length = logBlocks * blockBytes;
    this.superblock = superblock;
    this.version2 = features.largeLogRecords;
    this.blockCount = length / logBlockBytes;
    this.#start = blockOffset(superblock, logStart, logBlocks, "XFS log");
    this.#cache = new WindowCache(device, windowBytes, maxWindows);
    if (length > maxLogBytes) throw imageCorrupt("XFS log", `it cannot have ${length} bytes`);
  }

  /** Blocks that follow each other on the ring. Throws `image-corrupt` for more than it has. */
  async read(block: number, count: number, signal: AbortSignal): Promise<ByteView> {
    const where = `XFS log block ${block}`;
    if (count > this.blockCount || block >= this.blockCount) throw imageCorrupt(where, "it is not within the log");
    const before = Math.min(count, this.blockCount - block);
    const one = await this.#read(block, before, where, signal);
    if (before === count) return new ByteView(one, where);
    return new ByteView(Buffer.concat([one, await this.#read(0, count - before, where, signal)]), where);
  }

  async cycle(block: number, signal: AbortSignal): Promise<number> {
    return cycleAt(await this.read(block, 1, signal), 0);
  }

  #read(block: number, count: number, where: string, signal: AbortSignal): Promise<Uint8Array> {
    return this.#cache.read(this.#start + block * logBlockBytes, count * logBlockBytes, where, signal);
  }
}

/** The stamp of the block at byte `at`: its first word, or the second where the first is the mark of a record. */
export function cycleAt(view: ByteView, at: number): number {
  const first = view.u32be(at);
  return first === recordMagic ? view.u32be(at + 4) : first;
}
