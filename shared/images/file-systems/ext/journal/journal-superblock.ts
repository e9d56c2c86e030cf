/**
 * The journal's own superblock, its first block (journal_superblock_t in include/linux/jbd2.h; checks: journal_load_superblock in
 * fs/jbd2/journal.c). All numbers of the journal are big-endian.
 */
import { ByteView } from "../../../byte-view.ts";
import { crc32cRaw } from "../../../crc32c.ts";
import { imageCorrupt, notSupported } from "../../../image-errors.ts";

export const journalMagic = 0xc03b3998;
const where = "ext journal superblock";
const superblockBytes = 1024;
const checksumAt = 0xfc;
/** JBD2_DEFAULT_FAST_COMMIT_BLOCKS. */
const defaultFastBlocks = 256;
/** JBD2_MIN_JOURNAL_BLOCKS: with fewer left there is no area of fast commits. */
const leastLogBlocks = 1024;

/** JBD2_FEATURE_INCOMPAT_*. */
const features = { revoke: 1, wide: 2, asyncCommit: 4, checksums2: 8, checksums3: 0x10, fastCommit: 0x20 } as const;
const knownFeatures = 0x3f;

/** What sums the journal has: none, of whole transactions in their commit block, or of each block (versions 2 and 3). */
export type JournalChecksums = "none" | "commit" | 2 | 3;

export interface JournalSuperblock {
  readonly blockBytes: number;
  /** The log is a ring of the blocks from `first` to before `end`. */
  readonly first: number;
  readonly end: number;
  /** Where the oldest transaction begins that may not be in its place yet; 0: there is none. */
  readonly start: number;
  /** The number of that transaction, 32 bits that go round. */
  readonly sequence: number;
  /** Block numbers have 64 bits. */
  readonly wide: boolean;
  readonly checksums: JournalChecksums;
  readonly checksumSeed: number;
  /** Commit blocks may have reached the disk before the blocks of their transactions (`journal_async_commit`). */
  readonly asyncCommit: boolean;
  /** Blocks of the area of fast commits, from `end`; 0: they were never used. */
  readonly fastBlocks: number;
  /** The kernel had stopped writing to it because of an error (s_errno). */
  readonly hasError: boolean;
}

/** `blockBytes` is the file system's, `blocks` what the journal's file has. */
export function parseJournalSuperblock(bytes: Uint8Array, blockBytes: number, blocks: number): JournalSuperblock {
  const view = new ByteView(bytes, where).sub(0, superblockBytes, where);
  const kind = view.u32be(4);
  if (view.u32be(0) !== journalMagic || (kind !== 3 && kind !== 4)) throw imageCorrupt(where, "it is none");
  // Kind 3 is version 1, which has no features.
  const incompatible = kind === 4 ? view.u32be(0x28) : 0;
  const compatible = kind === 4 ? view.u32be(0x24) : 0;
  if ((incompatible & ~knownFeatures) !== 0) {
    throw notSupported(`A journal with the features 0x${incompatible.toString(16)}`);
  }
  const checksums = checksumsOf(compatible, incompatible);
  if (checksums === 2 || checksums === 3) verifyChecksum(view);
  if (view.u32be(0x0c) !== blockBytes) throw imageCorrupt(where, `it says blocks of ${view.u32be(0x0c)} bytes`);

  const all = view.u32be(0x10);
  if (all > blocks) throw imageCorrupt(where, `it says ${all} blocks, and its file has ${blocks}`);
  const first = view.u32be(0x14);
  const fastBlocks = (incompatible & features.fastCommit) === 0 ? 0 : view.u32be(0x54) || defaultFastBlocks;
  const end = all - fastBlocks >= leastLogBlocks ? all - fastBlocks : all;
  const start = view.u32be(0x1c);
  if (first === 0 || first >= end) throw imageCorrupt(where, `its log begins at block ${first} of ${end}`);
  if (start !== 0 && (start < first || start >= end)) throw imageCorrupt(where, `its tail is block ${start} of ${end}`);
  return {
    blockBytes,
    first,
    end,
    start,
    sequence: view.u32be(0x18),
    wide: (incompatible & features.wide) !== 0,
    checksums,
    checksumSeed: crc32cRaw(0xffffffff, view.slice(0x30, 16)),
    asyncCommit: (incompatible & features.asyncCommit) !== 0,
    fastBlocks: all - end,
    hasError: view.u32be(0x20) !== 0,
  };
}

function checksumsOf(compatible: number, incompatible: number): JournalChecksums {
  const kinds: JournalChecksums[] = [];
  if ((compatible & 1) !== 0) kinds.push("commit");
  if ((incompatible & features.checksums2) !== 0) kinds.push(2);
  if ((incompatible & features.checksums3) !== 0) kinds.push(3);
  if (kinds.length > 1) throw imageCorrupt(where, "it says several kinds of checksums");
  return kinds[0] ?? "none";
}

function verifyChecksum(view: ByteView): void {
  // JBD2_CRC32C_CHKSUM.
  if (view.u8(0x50) !== 4) throw notSupported(`The kind ${view.u8(0x50)} of journal checksums`);
  const bytes = Uint8Array.from(view.bytes);
  bytes.fill(0, checksumAt, checksumAt + 4);
  if (crc32cRaw(0xffffffff, bytes) !== view.u32be(checksumAt)) throw imageCorrupt(where, "its checksum is wrong");
}
