/** JBD2 logs made block by block, as fs/jbd2/commit.c writes them: for what no kernel at hand still writes, and for damage. */
import { crc32cRaw } from "../../../shared/images/crc32c.ts";
import { crc32Be } from "../../../shared/images/file-systems/ext/journal/crc32-be.ts";
import type {
  JournalChecksums,
  JournalSuperblock,
} from "../../../shared/images/file-systems/ext/journal/journal-superblock.ts";

const magic = 0xc03b3998;

export interface MadeWrite {
  readonly block: number;
  readonly content: Buffer;
}

export interface MadeTransaction {
  readonly writes?: readonly MadeWrite[];
  readonly revoked?: readonly number[];
  /** Missing: the commit block was not written any more. */
  readonly seconds?: number;
}

export class JournalMaker {
  readonly superblock: JournalSuperblock;
  readonly blocks: Buffer[];
  #next: number;
  #sequence: number;

  constructor(checksums: JournalChecksums, wide: boolean, blocks = 64, start = 1, sequence = 7, asyncCommit = false) {
    this.superblock = {
      blockBytes: 1024,
      first: 1,
      end: blocks,
      start,
      sequence,
      wide,
      checksums,
      checksumSeed: 0x12345678,
      asyncCommit,
      fastBlocks: 0,
      hasError: false,
    };
    this.blocks = Array.from({ length: blocks }, () => Buffer.alloc(1024));
    this.#next = start;
    this.#sequence = sequence;
  }

  readonly read = async (block: number): Promise<Uint8Array> => this.blocks[block] ?? Buffer.alloc(0);

  add({ writes = [], revoked = [], seconds }: MadeTransaction): this {
    let sum = 0xffffffff;
    if (writes.length > 0) {
      const stored = writes.map(({ content }) => escape(content));
      const descriptor = this.#withTail(this.#descriptor(writes, stored));
      for (const block of [descriptor, ...stored]) {
        sum = crc32Be(sum, block);
        this.#put(block);
      }
    }
    if (revoked.length > 0) this.#put(this.#withTail(this.#revocation(revoked)));
    if (seconds !== undefined) this.#put(this.#commit(seconds, sum));
    this.#sequence = (this.#sequence + 1) >>> 0;
    return this;
  }

  #put(block: Buffer): void {
    block.copy(this.blocks[this.#next] ?? Buffer.alloc(0));
    this.#next = this.#next + 1 < this.superblock.end ? this.#next + 1 : this.superblock.first;
  }

  #header(kind: number): Buffer {
    const block = Buffer.alloc(1024);
    block.writeUInt32BE(magic, 0);
    block.writeUInt32BE(kind, 4);
    block.writeUInt32BE(this.#sequence, 8);
    return block;
  }

  #descriptor(writes: readonly MadeWrite[], stored: readonly Buffer[]): Buffer {
    const { checksums, wide, checksumSeed } = this.superblock;
    const block = this.#header(1);
    const bytes = checksums === 3 ? 16 : 8 + (checksums === 2 ? 2 : 0) + (wide ? 4 : 0);
    let at = 12;
    for (const [index, write] of writes.entries()) {
      const sequence = Buffer.alloc(4);
      sequence.writeUInt32BE(this.#sequence);
      const content = stored[index] ?? Buffer.alloc(0);
      const sum = crc32cRaw(crc32cRaw(checksumSeed, sequence), content);
      const flags = (isEscaped(write.content) ? 1 : 0) | (index > 0 ? 2 : 0) | (index === writes.length - 1 ? 8 : 0);
      block.writeUInt32BE(write.block % 2 ** 32, at);
      if (checksums === 2) block.writeUInt16BE(sum & 0xffff, at + 4);
      block.writeUInt16BE(flags, at + 6);
      if (wide) block.writeUInt32BE(Math.floor(write.block / 2 ** 32), at + 8);
      if (checksums === 3) block.writeUInt32BE(sum, at + 12);
      // The first tag is followed by the uuid of the file system.
      at += bytes + (index === 0 ? 16 : 0);
    }
    return block;
  }

  #revocation(revoked: readonly number[]): Buffer {
    const block = this.#header(5);
    const bytes = this.superblock.wide ? 8 : 4;
    block.writeUInt32BE(16 + revoked.length * bytes, 12);
    for (const [index, number] of revoked.entries()) {
      if (bytes === 8) block.writeBigUInt64BE(BigInt(number), 16 + index * bytes);
      else block.writeUInt32BE(number, 16 + index * bytes);
    }
    return block;
  }

  #withTail(block: Buffer): Buffer {
    const { checksums, checksumSeed } = this.superblock;
    if (checksums === 2 || checksums === 3) block.writeUInt32BE(crc32cRaw(checksumSeed, block), 1020);
    return block;
  }

  #commit(seconds: number, sum: number): Buffer {
    const { checksums, checksumSeed } = this.superblock;
    const block = this.#header(2);
    block.writeBigUInt64BE(BigInt(seconds), 48);
    if (checksums === "commit") {
      block.set([1, 4], 12);
      block.writeUInt32BE(sum, 16);
    } else if (checksums !== "none") {
      block.writeUInt32BE(crc32cRaw(checksumSeed, block), 16);
    }
    return block;
  }
}

function isEscaped(content: Buffer): boolean {
  return content.readUInt32BE(0) === magic;
}

function escape(content: Buffer): Buffer {
  const stored = Buffer.from(content);
  if (isEscaped(content)) stored.writeUInt32BE(0, 0);
  return stored;
}
