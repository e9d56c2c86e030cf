/**
 * A block device that is only read: a disk of a restore point, or something laid over disks (a partition, an array, a logical volume,
 * a file system's journal replayed in memory).
 *
 * 1. A device never changes while it is open, and nothing is ever written to it.
 * 2. What it holds is hostile: it never says anything about itself but its bytes. Damage in the vault throws `vault-corrupt`; what
 *    the bytes mean, and whether they make sense, is for the readers above it (`image-corrupt`, `not-supported`).
 * 3. Offsets and lengths are whole bytes from the device's start; no alignment is asked for. A range beyond the end throws
 *    `image-corrupt`: a pointer inside the image leads outside of it.
 */
export interface BlockDevice {
  readonly sizeBytes: number;
  /**
   * Exactly `length` bytes. For metadata and pieces of files: at most `maxReadBytes` in one call. The bytes may belong to a shared
   * cache: they are never changed, by anyone.
   */
  read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array>;
  /** The range cut into stretches, in order, without gaps, none empty; from the index alone, no data is read. */
  extents(offset: number, length: number, signal: AbortSignal): AsyncIterable<DeviceExtent>;
  /**
   * What names the content of the range, in order, without gaps; from the index alone, no data is read. Two ranges whose names are
   * equal hold equal bytes; where names differ the bytes may be equal all the same.
   */
  contentNames(offset: number, length: number, signal: AbortSignal): AsyncIterable<ContentName>;
}

/** The longest range of one `read`, in bytes. */
export const maxReadBytes = 32 * 1024 * 1024;

export interface DeviceExtent {
  /** `zero`: known to read as zeros. `data`: may hold anything, zeros too. */
  readonly kind: "zero" | "data";
  readonly offset: number;
  readonly length: number;
}

export interface ContentName {
  readonly length: number;
  /** `zero`, or the name of an immutable stored object (a chunk's id), or a hash of bytes that exist in memory only. */
  readonly name: string;
  /** Where in the named content this stretch begins; 0 for `zero`. */
  readonly at: number;
}
