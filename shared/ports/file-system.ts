/**
 * A file system inside a block device, read without mounting it.
 *
 * 1. Every byte of it is hostile. Each parse checks what it reads (magic, bounds, checksums where the format has them) and throws
 *    `image-corrupt` with the place; a feature that is not understood throws `not-supported` with its name. No other error escapes
 *    but those of the device and of the signal; no loop and no recursion is bounded by the image alone; nothing is allocated because
 *    the image says so.
 * 2. It shows the file system as the kernel would after mounting it: the journal is replayed, in memory. Where that is not possible
 *    `state` says so.
 * 3. Memory is bounded whatever the size of files and directories: lists and contents stream.
 */

/** The inode, MFT record or first cluster that a node is; unique within its file system, never beyond 2^53. */
export type NodeId = number;

export type FileKind =
  | "file"
  | "directory"
  | "link"
  | "character-device"
  | "block-device"
  | "fifo"
  | "socket"
  | "other";

export interface FileSystemFacts {
  /** As mount(8) calls it: ext2, ext3, ext4, xfs, ntfs, vfat. */
  readonly type: string;
  readonly label: string | undefined;
  /** Of the file system, as blkid(8) prints it. */
  readonly uuid: string | undefined;
  readonly sizeBytes: number;
  /**
   * `clean`: was unmounted. `replayed`: was in use, its journal was replayed in memory. `dirty`: was in use and cannot be replayed
   * (whole or in part): what is shown may be old or torn, and `note` says why.
   */
  readonly state: FileSystemState;
}

export type FileSystemState =
  | { readonly kind: "clean" }
  | { readonly kind: "replayed"; readonly note: string }
  | { readonly kind: "dirty"; readonly note: string };

export interface DirectoryEntry {
  /** As `decodeFileName` gives it. Never `.`, `..`, empty, and never with `/` or NUL in it. */
  readonly name: string;
  readonly node: NodeId;
  /** Where the directory says it; else `stat` does. */
  readonly kind: FileKind | undefined;
}

export interface FileStat {
  readonly node: NodeId;
  readonly kind: FileKind;
  /** Of a file its length; of a link its target's; else 0. */
  readonly sizeBytes: number;
  /** Permission bits, 0 to 0o7777. File systems without them give 0o755 or 0o644. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Names that this node has; files with more than one are hard links. */
  readonly links: number;
  /** Nanoseconds since 1970-01-01 UTC. */
  readonly modifiedNs: bigint;
  readonly changedNs: bigint | undefined;
  readonly createdNs: bigint | undefined;
  /** Of devices. */
  readonly device: { readonly major: number; readonly minor: number } | undefined;
}

/** Stretches follow each other without a gap, from the range's start to its end. */
export type FilePiece =
  | { readonly kind: "zero"; readonly offset: number; readonly length: number }
  /** `content` is at most 1 MiB and may belong to a shared cache: it is never changed. */
  | { readonly kind: "data"; readonly offset: number; readonly length: number; readonly content: Uint8Array };

/**
 * Where a stretch of a file lies. `hole`: reads as zeros (sparse, or allocated and never written). `device`: bytes of the device of the
 * file system, from `deviceOffset`. `encoded`: neither (inline in metadata, compressed): only its content tells.
 */
export type FileExtent =
  | { readonly kind: "hole" | "encoded"; readonly offset: number; readonly length: number }
  | { readonly kind: "device"; readonly offset: number; readonly length: number; readonly deviceOffset: number };

export interface FileSystem {
  readonly facts: FileSystemFacts;
  readonly root: NodeId;
  stat(node: NodeId, signal: AbortSignal): Promise<FileStat>;
  /**
   * In the order of the disk, each name once; only a damaged directory may say one twice, since to find out would take memory for all of
   * its names. Throws `bad-input` for what is no directory.
   */
  list(directory: NodeId, signal: AbortSignal): AsyncIterable<DirectoryEntry>;
  /** By the file system's own rules (NTFS and FAT: letter case does not count). */
  lookup(directory: NodeId, name: string, signal: AbortSignal): Promise<DirectoryEntry | undefined>;
  /** The text of a symbolic link as it stands. Throws `bad-input` for what is no link. */
  readLink(node: NodeId, signal: AbortSignal): Promise<string>;
  /** The range of a file; beyond its end nothing. Throws `bad-input` for what is no file. */
  read(node: NodeId, range: FileRange, signal: AbortSignal): AsyncIterable<FilePiece>;
  /** The file's stretches from 0 to `sizeBytes`. */
  extents(node: NodeId, signal: AbortSignal): AsyncIterable<FileExtent>;
  /** Extended attributes with their full names (`user.comment`, `security.capability`, `system.posix_acl_access`); empty where there are none. */
  attributes(node: NodeId, signal: AbortSignal): Promise<ReadonlyMap<string, Uint8Array>>;
}

export interface FileRange {
  readonly offset: number;
  readonly length: number;
}
