/** The blocks of the log: descriptors with their tags, revocations, commits (fs/jbd2/recovery.c, include/linux/jbd2.h). */
import type { ByteView } from "../../../byte-view.ts";
import { crc32cRaw } from "../../../crc32c.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import { bigEndian32 } from "../number-bytes.ts";
import type { JournalSuperblock } from "./journal-superblock.ts";
import { journalMagic } from "./journal-superblock.ts";

const headerBytes = 12;

/** JBD2_DESCRIPTOR_BLOCK, JBD2_COMMIT_BLOCK, JBD2_REVOKE_BLOCK. */
export const blockKinds = { descriptor: 1, commit: 2, revoke: 5 } as const;

export interface JournalTag {
  /** The block of the file system whose new content follows. */
  readonly block: number;
  /** It began with the journal's magic number, which stands as zeros in the log. */
  readonly escaped: boolean;
  /** The stored sum: 32 bits in version 3, the lower 16 in version 2. */
  readonly checksum: number;
}

const tagFlags = { escaped: 1, sameUuid: 2, last: 8 } as const;
const uuidBytes = 16;
const tailBytes = 4;

/** The kind and transaction of a block of the log; missing for what is none (the end, or data). */
export function journalHeader(view: ByteView): { readonly kind: number; readonly sequence: number } | undefined {
  return view.u32be(0) === journalMagic ? { kind: view.u32be(4), sequence: view.u32be(8) } : undefined;
}

/** journal_tag_bytes. */
function tagBytes({ checksums, wide }: JournalSuperblock): number {
  if (checksums === 3) return 16;
  return 8 + (checksums === 2 ? 2 : 0) + (wide ? 4 : 0);
}

function hasTail({ checksums }: JournalSuperblock): boolean {
  return checksums === 2 || checksums === 3;
}

/** The content of the tags' blocks follows in the log, in their order. */
export function journalTags(journal: JournalSuperblock, view: ByteView): JournalTag[] {
  const tags: JournalTag[] = [];
  const bytes = tagBytes(journal);
  const end = view.length - (hasTail(journal) ? tailBytes : 0);
  for (let at = headerBytes; at + bytes <= end;) {
    // Version 3 has 32 bits of flags, of which only the lower 16 are used: they lie in the same place.
    const flags = view.u16be(at + 6);
    const high = journal.wide ? view.u32be(at + 8) : 0;
    const checksum = journal.checksums === 3 ? view.u32be(at + 12) : view.u16be(at + 4);
    const block = high * 2 ** 32 + view.u32be(at);
    tags.push({ block, escaped: (flags & tagFlags.escaped) !== 0, checksum });
    at += bytes + ((flags & tagFlags.sameUuid) === 0 ? uuidBytes : 0);
    if ((flags & tagFlags.last) !== 0) break;
  }
  return tags;
}

/** Whether the sum at the end of a descriptor or revocation is right, or there is none. */
export function tailIsRight(journal: JournalSuperblock, view: ByteView): boolean {
  if (!hasTail(journal)) return true;
  const at = view.length - tailBytes;
  const sum = crc32cRaw(crc32cRaw(journal.checksumSeed, view.slice(0, at)), new Uint8Array(tailBytes));
  return sum === view.u32be(at);
}

/** Whether the content of a tag's block, as it stands in the log, has the sum that the tag says. */
export function contentIsRight(
  journal: JournalSuperblock,
  checksum: number,
  sequence: number,
  content: Uint8Array,
): boolean {
  if (!hasTail(journal)) return true;
  const sum = crc32cRaw(crc32cRaw(journal.checksumSeed, bigEndian32(sequence)), content);
  return checksum === (journal.checksums === 3 ? sum : sum & 0xffff);
}

/** The blocks that are not to be replayed from this transaction and older ones. */
export function* revokedBlocks(journal: JournalSuperblock, view: ByteView): Generator<number> {
  const used = view.u32be(headerBytes);
  const end = view.length - (hasTail(journal) ? tailBytes : 0);
  if (used > end) throw imageCorrupt(view.where, `it says ${used} bytes of revocations`);
  const bytes = journal.wide ? 8 : 4;
  for (let at = headerBytes + 4; at + bytes <= used; at += bytes) {
    yield journal.wide ? view.u64be(at) : view.u32be(at);
  }
}

/** struct commit_header. */
const commit = { sumKindAt: 12, sumSizeAt: 13, sumAt: 16, secondsAt: 48, headerBytes: 64 } as const;

export function commitSeconds(view: ByteView): bigint {
  return view.big64be(commit.secondsAt);
}

/** `transactionSum` (CRC-32 from 0xffffffff) is over the descriptors and contents of the transaction, for the journals that sum these. */
export function commitIsRight(journal: JournalSuperblock, view: ByteView, transactionSum: number): boolean {
  const found = view.u32be(commit.sumAt);
  const kind = view.u8(commit.sumKindAt);
  const size = view.u8(commit.sumSizeAt);
  if (journal.checksums === "none") return true;
  if (journal.checksums === "commit") {
    // JBD2_CRC32_CHKSUM; all zeros: it was written without one.
    return (kind === 1 && size === 4 && found === transactionSum) || (kind === 0 && size === 0 && found === 0);
  }
  // Some kernels summed the block before the rest of it was cleared (jbd2_commit_block_csum_verify_partial).
  return [view.length, commit.headerBytes].some((kept) => {
    const bytes = new Uint8Array(view.length);
    bytes.set(view.slice(0, kept));
    bytes.fill(0, commit.sumAt, commit.sumAt + 4);
    return crc32cRaw(journal.checksumSeed, bytes) === found;
  });
}
