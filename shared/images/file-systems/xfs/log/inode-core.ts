/** The core of an inode from the log's form, little-endian, to the disk's, big-endian. Both have the same fields at the same places. */
import type { ByteView } from "../../../byte-view.ts";
import { imageCorrupt } from "../../../image-errors.ts";

/** Bytes and lengths of the fields; single bytes and the uuid are the same in both. */
const common: readonly (readonly [at: number, length: 2 | 4 | 8])[] = [
  [0, 2], // di_magic
  [2, 2], // di_mode
  [8, 4], // di_uid
  [12, 4], // di_gid
  [16, 4], // di_nlink
  [20, 2], // di_projid_lo
  [22, 2], // di_projid_hi
  [56, 8], // di_size
  [64, 8], // di_nblocks
  [72, 4], // di_extsize
  [76, 4], // di_nextents, or di_big_anextents
  [80, 2], // di_anextents
  [84, 4], // di_dmevmask
  [88, 2], // di_dmstate
  [90, 2], // di_flags
  [92, 4], // di_gen
];
const version3: readonly (readonly [at: number, length: 2 | 4 | 8])[] = [
  [24, 8], // di_big_nextents
  [104, 8], // di_changecount
  [120, 8], // di_flags2
  [128, 4], // di_cowextsize
  [152, 8], // di_ino
];
const bytesAsTheyAre = [4, 5, 82, 83] as const; // di_version, di_format, di_forkoff, di_aformat
const times = { common: [32, 40, 48], version3: [144] } as const;
const bigTimeFlag = 0x08n;

/** `lsn` of the transaction for version 3, else undefined. What is not in the log's form (the chain of unlinked inodes) stays. */
export function convertCore(core: ByteView, inode: Uint8Array, lsn: bigint | undefined): void {
  const disk = new DataView(inode.buffer, inode.byteOffset, inode.length);
  const isVersion3 = core.u8(4) === 3;
  if (isVersion3 !== (lsn !== undefined)) throw imageCorrupt(core.where, `an inode cannot be of version ${core.u8(4)}`);
  for (const at of bytesAsTheyAre) inode[at] = core.u8(at);
  for (const [at, length] of isVersion3 ? [...common, ...version3] : common) swap(core, inode, at, length);
  // di_onlink belongs to inodes of version 1, which no kernel writes any more.
  disk.setUint16(6, 0);
  const bigTime = isVersion3 && (core.big64le(120) & bigTimeFlag) !== 0n;
  for (const at of isVersion3 ? [...times.common, ...times.version3] : times.common) {
    if (bigTime) swap(core, inode, at, 8);
    else {
      swap(core, inode, at, 4);
      swap(core, inode, at + 4, 4);
    }
  }
  if (lsn === undefined) {
    // The count of writes begins again.
    inode.fill(0, 24, 32);
    return;
  }
  disk.setBigUint64(112, lsn);
  inode.fill(0, 132, 144);
  inode.set(core.slice(160, 16), 160);
}

function swap(core: ByteView, inode: Uint8Array, at: number, length: number): void {
  const bytes = core.slice(at, length);
  for (let index = 0; index < length; index++) inode[at + index] = bytes[length - 1 - index] ?? 0;
}
