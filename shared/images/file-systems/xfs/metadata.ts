/** Metadata of one file system: its blocks, and what those of version 5 say of themselves. */
import type { BlockDevice } from "../../../ports/block-device.ts";
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { blockOffset } from "./addresses.ts";
import { verifyChecksum } from "./checksum.ts";
import type { Superblock } from "./superblock.ts";
import { WindowCache } from "./window-cache.ts";

/** An inode chunk has 64 inodes, 16 to 128 KiB; 16 MiB in all. */
const windowBytes = 64 * 1024;
const maxWindows = 256;
const maxVerified = 4096;

/** Where the fields of a version 5 header lie; `owner` is not checked where it is missing. */
export interface SelfDescription {
  readonly checksum: number;
  readonly address: number;
  readonly uuid: number;
  readonly owner?: { readonly at: number; readonly inode: number };
}

export class Metadata {
  readonly superblock: Superblock;
  readonly device: BlockDevice;
  readonly #cache: WindowCache;
  /** What was found whole: a device never changes, so looking up name after name need not sum the same blocks again. */
  readonly #verified = new Set<string>();

  constructor(superblock: Superblock, device: BlockDevice) {
    this.superblock = superblock;
    this.device = device;
    this.#cache = new WindowCache(device, windowBytes, maxWindows);
  }

  /** Blocks that follow each other. `where` names the structure in errors. */
  async blocks(block: number, count: number, where: string, signal: AbortSignal): Promise<ByteView> {
    const offset = blockOffset(this.superblock, block, count, where);
    return new ByteView(await this.bytes(offset, count * this.superblock.blockBytes, where, signal), where);
  }

  /** Bytes that belong to the cache: they are never changed. */
  bytes(offset: number, length: number, where: string, signal: AbortSignal): Promise<Uint8Array> {
    return this.#cache.read(offset, length, where, signal);
  }

  /** Checks what a structure of version 5 says of itself: that it is whole, of this file system, of this place and of its inode. */
  verify(view: ByteView, block: number, fields: SelfDescription): void {
    if (!this.superblock.features.checksums) return;
    const key = `${block} ${view.where}`;
    if (this.#verified.has(key)) return;
    verifyChecksum(view, fields.checksum);
    if (!sameBytes(view.slice(fields.uuid, 16), this.superblock.metadataUuid)) {
      throw imageCorrupt(view.where, "it belongs to another file system");
    }
    // Headers name their place by sectors of 512 bytes (xfs_daddr_t), whatever the device's are.
    const sector = blockOffset(this.superblock, block, 1, view.where) / 512;
    if (view.big64be(fields.address) !== BigInt(sector)) throw imageCorrupt(view.where, "it belongs to another place");
    if (fields.owner !== undefined && view.big64be(fields.owner.at) !== BigInt(fields.owner.inode)) {
      throw imageCorrupt(view.where, "it belongs to another inode");
    }
    if (this.#verified.size >= maxVerified) this.#verified.clear();
    this.#verified.add(key);
  }
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
