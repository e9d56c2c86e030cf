/** A disk image at hand: a raw or fixed-VHD file. What a VHD adds behind the disk is not part of it. */
import type { ByteRange } from "./disk-source.ts";

export interface DiskImage {
  readonly sizeBytes: number;
  /** Ranges that may hold something other than zeros, in order, not overlapping. */
  extents(signal: AbortSignal): AsyncIterable<ByteRange>;
  /** Never gives fewer bytes than asked for. */
  read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>>;
}
