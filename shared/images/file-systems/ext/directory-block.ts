/** One block of a directory: its entries (struct ext4_dir_entry_2) and its checksum (fs/ext4/dir.c, namei.c). */
import type { FileKind } from "../../../ports/file-system.ts";
import type { ByteView } from "../../byte-view.ts";
import { crc32cRaw } from "../../crc32c.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { incompatible } from "./features.ts";
import type { ExtInode } from "./inode.ts";
import { isSet } from "./inode.ts";
import type { ExtSuperblock } from "./superblock.ts";
import { has } from "./superblock.ts";

export interface RawEntry {
  readonly inode: number;
  readonly name: Uint8Array;
  readonly kind: FileKind | undefined;
}

const headerBytes = 8;
/** A header and a name of up to four letters. */
const leastEntryBytes = 12;
/** struct ext4_dir_entry_tail: an entry of no inode, of 12 bytes, of the type 0xde. */
const tailBytes = 12;
/** EXT4_FT_*, from 0: unknown. */
const kinds: readonly (FileKind | undefined)[] = [
  undefined,
  "file",
  "directory",
  "character-device",
  "block-device",
  "fifo",
  "socket",
  "link",
];
const slash = 0x2f;

/** Without `.` and `..`. */
export function* directoryEntries(superblock: ExtSuperblock, view: ByteView): Generator<RawEntry> {
  const typed = has(superblock.features, "incompatible", incompatible.fileType);
  for (let at = 0; at < view.length;) {
    const inode = view.u32le(at);
    const length = recordBytes(view, at);
    // Before there were types, the name's length had the type's byte too.
    const nameBytes = typed ? view.u8(at + 6) : view.u16le(at + 6);
    if (length < leastEntryBytes || length % 4 !== 0 || headerBytes + nameBytes > length || at + length > view.length) {
      throw imageCorrupt(view.where, `the entry at byte ${at} says ${length} bytes, and a name of ${nameBytes}`);
    }
    if (inode > superblock.inodes) throw imageCorrupt(view.where, `the entry at byte ${at} leads to inode ${inode}`);
    if (inode !== 0) {
      const name = view.slice(at + headerBytes, nameBytes);
      if (nameBytes === 0 || name.includes(0) || name.includes(slash)) {
        throw imageCorrupt(view.where, `the entry at byte ${at} has a name that none can have`);
      }
      if (!isDots(name)) yield { inode, name, kind: typed ? kinds[view.u8(at + 7) & 7] : undefined };
    }
    at += length;
  }
}

function isDots(name: Uint8Array): boolean {
  return name.length <= 2 && name.every((byte) => byte === 0x2e);
}

/** ext4_rec_len_from_disk: 16 bits hold no 65,536, so 0 and 65,535 stand for it, and the lowest two bits for the highest. */
function recordBytes(view: ByteView, at: number): number {
  const stored = view.u16le(at + 4);
  if (view.length < 65536) return stored;
  return stored === 0 || stored === 65535 ? view.length : (stored & 0xfffc) | ((stored & 3) << 16);
}

/** `index`: of the block in its directory. The first of an indexed one, and each with one empty entry over all of it, are of its tree. */
export function verifyDirectoryBlock(inode: ExtInode, view: ByteView, index: number): void {
  const inTree = isSet(inode, "indexed") && (index === 0 || recordBytes(view, 0) === view.length);
  if (inTree) verifyTreeBlock(inode, view);
  else verifyLeaf(inode, view);
}

function verifyLeaf(inode: ExtInode, view: ByteView): void {
  const at = view.length - tailBytes;
  if (view.u32le(at) !== 0 || view.u16le(at + 4) !== tailBytes || view.u16le(at + 6) !== 0xde00) {
    throw imageCorrupt(view.where, "it has no place for its checksum");
  }
  if (crc32cRaw(inode.checksumSeed, view.slice(0, at)) === view.u32le(at + 8)) return;
  throw imageCorrupt(view.where, "its checksum is wrong");
}

/** ext4_dx_csum: over the entries in use, and what stands before the sum behind the place of the last possible one. */
function verifyTreeBlock(inode: ExtInode, view: ByteView): void {
  // In the root the table follows `.`, `..` and 8 bytes about the tree; in others one empty entry.
  const countAt = recordBytes(view, 0) === view.length ? 8 : 32;
  const tailAt = countAt + view.u16le(countAt) * 8;
  const usedBytes = countAt + view.u16le(countAt + 2) * 8;
  const used = crc32cRaw(inode.checksumSeed, view.slice(0, usedBytes));
  const sum = crc32cRaw(crc32cRaw(used, view.slice(tailAt, 4)), new Uint8Array(4));
  if (sum !== view.u32le(tailAt + 4)) throw imageCorrupt(view.where, "its checksum is wrong");
}
