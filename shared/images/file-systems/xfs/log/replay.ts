/** What a replay knows while it goes through the log: the blocks so far, what was cancelled, what was announced and not done yet. */
import type { BufferFormat } from "./log-item.ts";
import { stampChecksum, stampLsn } from "./buffer-header.ts";
import type { ReplayedBlocks } from "./replayed-blocks.ts";
import type { Superblock } from "../superblock.ts";

export class Replay {
  readonly superblock: Superblock;
  readonly blocks: ReplayedBlocks;
  readonly cancelled: CancelledBuffers;
  /** The buffers that were changed, by their first sector, with their lengths in sectors. */
  readonly #changed = new Map<number, number>();
  /** Those of them that the kernel would not have written yet. */
  readonly #unwritten = new Map<number, number>();
  #lsn: bigint | undefined;

  constructor(superblock: Superblock, blocks: ReplayedBlocks, cancelled: CancelledBuffers) {
    this.superblock = superblock;
    this.blocks = blocks;
    this.cancelled = cancelled;
  }

  noteChanged({ sector, sectorCount }: BufferFormat): void {
    this.#changed.set(sector, sectorCount);
    this.#unwritten.set(sector, sectorCount);
  }

  /**
   * To be called before each transaction. The kernel writes what it replayed, and stamps it, when the sequence number changes: several
   * transactions may have one number, and each of them counts.
   */
  async reach(lsn: bigint, signal: AbortSignal): Promise<void> {
    if (this.#lsn !== undefined && this.#lsn !== lsn) await this.#write(this.#lsn, signal);
    this.#lsn = lsn;
  }

  /** To be called at the end: checksums are those of what is shown. */
  async finish(signal: AbortSignal): Promise<void> {
    if (this.#lsn !== undefined) await this.#write(this.#lsn, signal);
    if (!this.superblock.features.checksums) return;
    for (const [sector, count] of this.#changed) {
      await this.#update(sector, count, (bytes) => stampChecksum(bytes, this.superblock), signal);
    }
  }

  async #write(lsn: bigint, signal: AbortSignal): Promise<void> {
    if (this.superblock.features.checksums) {
      for (const [sector, count] of this.#unwritten) {
        await this.#update(sector, count, (bytes) => stampLsn(bytes, this.superblock, lsn), signal);
      }
    }
    this.#unwritten.clear();
  }

  async #update(
    sector: number,
    count: number,
    change: (bytes: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const where = `XFS buffer at sector ${sector}`;
    const bytes = await this.blocks.read(sector * 512, count * 512, where, signal);
    change(bytes);
    await this.blocks.write(sector * 512, bytes, where, signal);
  }
}

/**
 * Buffers that were freed later in the log: what was logged of them before must not be replayed, their blocks may hold a file's data by
 * now. The first pass over the log counts the cancels, the second counts them down: after the last a buffer may be in use again.
 */
export class CancelledBuffers {
  readonly #counts = new Map<string, number>();

  add(format: BufferFormat): void {
    const key = keyOf(format);
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
  }

  remove(format: BufferFormat): void {
    const key = keyOf(format);
    const count = this.#counts.get(key) ?? 0;
    if (count > 1) this.#counts.set(key, count - 1);
    else this.#counts.delete(key);
  }

  has(buffer: Pick<BufferFormat, "sector" | "sectorCount">): boolean {
    return this.#counts.has(keyOf(buffer));
  }
}

function keyOf({ sector, sectorCount }: Pick<BufferFormat, "sector" | "sectorCount">): string {
  return `${sector}:${sectorCount}`;
}
