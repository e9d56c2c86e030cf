/** One extended attribute as it is stored: in the inode, in a leaf, or with its value in blocks of its own. */
import type { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";

/** XFS_ATTR_*. */
export const attributeFlags = { local: 0x01, trusted: 0x02, security: 0x04, parent: 0x08, incomplete: 0x80 } as const;

export interface RawAttribute {
  readonly name: Uint8Array;
  readonly flags: number;
  readonly value: Uint8Array | RemoteValue;
}

/** `block` of the attribute fork, in blocks of the file system. */
export interface RemoteValue {
  readonly block: number;
  readonly length: number;
}

/** struct xfs_attr_shortform: a total of bytes, a count, then lengths, flags, name and value of each. */
export function* shortformAttributes(view: ByteView): Generator<RawAttribute> {
  const count = view.u8(2);
  let at = 4;
  for (let index = 0; index < count; index++) {
    const [nameLength, valueLength, flags] = [view.u8(at), view.u8(at + 1), view.u8(at + 2)];
    yield { name: view.slice(at + 3, nameLength), flags, value: view.slice(at + 3 + nameLength, valueLength) };
    at += 3 + nameLength + valueLength;
  }
}

/** XFS_ATTR_LEAF_MAGIC, XFS_ATTR3_LEAF_MAGIC. */
const leafMagics: readonly number[] = [0xfbee, 0x3bee];
const entryBytes = 8;

/** struct xfs_attr_leafblock: entries with hash, place and flags; names and values lie at the block's end. */
export function* leafAttributes(view: ByteView, checksums: boolean): Generator<RawAttribute> {
  if (!leafMagics.includes(view.u16be(8))) throw imageCorrupt(view.where, "it is no leaf of attributes");
  const [countAt, entriesAt] = checksums ? [56, 80] : [12, 32];
  const count = view.u16be(countAt);
  for (let index = 0; index < count; index++) {
    const entry = entriesAt + index * entryBytes;
    const [at, flags] = [view.u16be(entry + 4), view.u8(entry + 6)];
    if ((flags & attributeFlags.local) !== 0) {
      const [valueLength, nameLength] = [view.u16be(at), view.u8(at + 2)];
      yield { name: view.slice(at + 3, nameLength), flags, value: view.slice(at + 3 + nameLength, valueLength) };
    } else {
      const value = { block: view.u32be(at), length: view.u32be(at + 4) };
      yield { name: view.slice(at + 9, view.u8(at + 8)), flags, value };
    }
  }
}
