/** The table of extended attributes, in an inode or a block of its own (struct ext4_xattr_entry in fs/ext4/xattr.h). */
import type { ByteView } from "../../byte-view.ts";
import { decodeFileName } from "../../file-name.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { ExtInode } from "./inode.ts";

export interface AttributeEntry {
  readonly nameIndex: number;
  /** Without what the index stands for. */
  readonly name: string;
  /** The inode that holds the value; 0: `inline` does. */
  readonly valueInode: number;
  readonly inline: Uint8Array;
  readonly valueBytes: number;
}

/** EXT4_XATTR_MAGIC, in the inode and in the block. */
export const magic = 0xea020000;
const entryBytes = 16;
/** XATTR_SIZE_MAX of include/uapi/linux/limits.h. */
const maxValueBytes = 65536;

/** `entriesAt`: where the table begins; `valuesAt`: from where values' places count. */
export function* attributeEntries(view: ByteView, entriesAt: number, valuesAt: number): Generator<AttributeEntry> {
  // Four zero bytes end the table; so does the end of what it lies in.
  for (let at = entriesAt; at + 4 <= view.length && view.u32le(at) !== 0;) {
    const nameBytes = view.u8(at);
    const valueInode = view.u32le(at + 4);
    const valueBytes = view.u32le(at + 8);
    if (valueBytes > maxValueBytes) throw imageCorrupt(view.where, `it says an attribute of ${valueBytes} bytes`);
    const here = valueInode === 0 && valueBytes > 0;
    yield {
      nameIndex: view.u8(at + 1),
      // The kernel takes any bytes but NUL.
      name: decodeFileName(view.slice(at + entryBytes, nameBytes)),
      valueInode,
      inline: here ? view.slice(valuesAt + view.u16le(at + 2), valueBytes) : new Uint8Array(),
      valueBytes,
    };
    at += entryBytes + Math.ceil(nameBytes / 4) * 4;
  }
}

/** Those in the inode itself. */
export function* bodyEntries(inode: ExtInode): Generator<AttributeEntry> {
  const { extra } = inode;
  if (extra.length < 8 || extra.u32le(0) !== magic) return;
  yield* attributeEntries(extra, 4, 4);
}
