/**
 * The log sequence number and the checksum that buffers of metadata carry, by what they begin with. On disk, the number says which
 * transaction wrote the buffer last; replaying must not put older content over it.
 */
import { ByteView } from "../../../byte-view.ts";
import { writeChecksum } from "../checksum.ts";
import { sameBytes } from "../metadata.ts";
import type { Superblock } from "../superblock.ts";

interface HeaderLayout {
  readonly lsn: number;
  readonly uuid: number;
  readonly checksum: number;
  /** The number in it means nothing: the kernel wrote it outside of transactions. */
  readonly unordered?: boolean;
  /** Each block of the buffer has a header. */
  readonly eachBlock?: boolean;
}

const shortTree: HeaderLayout = { lsn: 24, uuid: 32, checksum: 52 };
const directoryBlock: HeaderLayout = { lsn: 16, uuid: 24, checksum: 4 };
const hashBlock: HeaderLayout = { lsn: 24, uuid: 32, checksum: 12 };

/** By the first four bytes. */
const layouts: ReadonlyMap<number, HeaderLayout> = new Map([
  [0x41423342, shortTree], // AB3B: free space by block
  [0x41423343, shortTree], // AB3C: free space by length
  [0x49414233, shortTree], // IAB3: inodes
  [0x46494233, shortTree], // FIB3: free inodes
  [0x524d4233, shortTree], // RMB3: reverse mappings
  [0x52334643, shortTree], // R3FC: reference counts
  [0x424d4133, { lsn: 32, uuid: 40, checksum: 64 }], // BMA3: extents of a file
  [0x58414746, { lsn: 208, uuid: 64, checksum: 216 }], // XAGF
  [0x5841464c, { lsn: 24, uuid: 8, checksum: 32 }], // XAFL
  [0x58414749, { lsn: 320, uuid: 296, checksum: 312 }], // XAGI
  [0x58534c4d, { lsn: 48, uuid: 16, checksum: 12 }], // XSLM: target of a link
  [0x58444233, directoryBlock], // XDB3
  [0x58444433, directoryBlock], // XDD3
  [0x58444633, directoryBlock], // XDF3
  [0x5841524d, { lsn: 48, uuid: 16, checksum: 12, unordered: true, eachBlock: true }], // XARM: value of an attribute
]);

/** By the two bytes at 8: nodes and leaves of directories and attributes. */
const hashMagics: readonly number[] = [0x3df1, 0x3dff, 0x3ebe, 0x3bee];
const superblockMagic = 0x58465342;

function layoutOf(view: ByteView, superblock: Superblock): HeaderLayout | undefined {
  const magic = view.u32be(0);
  if (magic === superblockMagic) {
    const changed = !sameBytes(superblock.uuid, superblock.metadataUuid);
    return { lsn: 240, uuid: changed ? 248 : 32, checksum: 224 };
  }
  return layouts.get(magic) ?? (hashMagics.includes(view.u16be(8)) ? hashBlock : undefined);
}

/** Undefined where the buffer has none that counts: version 4, another file system's rests, what is no metadata yet. */
export function bufferLsn(bytes: Uint8Array, superblock: Superblock): bigint | undefined {
  if (!superblock.features.checksums) return undefined;
  const view = new ByteView(bytes, "XFS buffer");
  const layout = layoutOf(view, superblock);
  if (layout === undefined || layout.unordered === true) return undefined;
  if (!sameBytes(view.slice(layout.uuid, 16), superblock.metadataUuid)) return undefined;
  return validLsn(view.big64be(layout.lsn));
}

/** Zero and all ones stand for none. */
export function validLsn(lsn: bigint): bigint | undefined {
  return lsn === 0n || lsn === 2n ** 64n - 1n ? undefined : lsn;
}

/** As the kernel does when it writes a replayed buffer. */
export function stampLsn(bytes: Uint8Array, superblock: Superblock, lsn: bigint): void {
  const layout = layoutOf(new ByteView(bytes, "XFS buffer"), superblock);
  if (layout === undefined || layout.unordered === true) return;
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length).setBigUint64(layout.lsn, lsn);
}

export function stampChecksum(bytes: Uint8Array, superblock: Superblock): void {
  const layout = layoutOf(new ByteView(bytes, "XFS buffer"), superblock);
  if (layout === undefined) return;
  const step = layout.eachBlock === true ? superblock.blockBytes : bytes.length;
  for (let at = 0; at < bytes.length; at += step) writeChecksum(bytes.subarray(at, at + step), layout.checksum);
}
