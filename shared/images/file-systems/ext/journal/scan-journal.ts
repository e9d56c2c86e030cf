/**
 * Reads the log from its tail to its end and says which block of it holds the newest content of which block of the file system: the
 * three passes of fs/jbd2/recovery.c (scan, revoke, replay) in one, because nothing is written. Rules, in the order of the log:
 *
 * 1. A transaction counts once its commit block is read and right. What follows the last one is an interrupted commit, and is left out.
 * 2. A wrong sum before a commit block means one of two things: old blocks of an earlier round of the ring (the commit's time is before
 *    the last one's: the log ends there), or damage (the journal cannot be replayed: throws `image-corrupt`).
 * 3. A revocation in a transaction takes back the block's content from it and all before it.
 * 4. Each content that is used has the sum that its tag says; else the journal cannot be replayed. (The kernel checks also contents that
 *    newer ones replace; they are not read here.)
 */
import { ByteView } from "../../../byte-view.ts";
import { imageCorrupt, notSupported } from "../../../image-errors.ts";
import { crc32Be } from "./crc32-be.ts";
import {
  blockKinds,
  commitIsRight,
  commitSeconds,
  contentIsRight,
  journalHeader,
  journalTags,
  revokedBlocks,
  tailIsRight,
} from "./journal-block.ts";
import type { JournalSuperblock } from "./journal-superblock.ts";

/** `journalBlock` of the log holds the content of a block of the file system. */
export interface JournalledBlock {
  readonly journalBlock: number;
  readonly escaped: boolean;
}

export interface ScannedJournal {
  readonly transactions: number;
  /** By block of the file system. */
  readonly blocks: ReadonlyMap<number, JournalledBlock>;
  /** The transaction that would come next; a fast commit says it. */
  readonly nextSequence: number;
}

/** One block of the log. */
export type ReadJournalBlock = (block: number, signal: AbortSignal) => Promise<Uint8Array>;

/** Distinct blocks, about 100 bytes of memory each; mke2fs makes journals of at most 1 GiB by itself: 262,144 blocks of 4 KiB. */
const maxBlocks = 2 ** 20;

interface Write extends JournalledBlock {
  readonly transaction: number;
  readonly sequence: number;
  readonly checksum: number;
}

interface Found {
  /** By block: its newest content. */
  readonly writes: Map<number, Write>;
  /** By block: the newest transaction that revoked it. */
  readonly revoked: Map<number, number>;
}

export async function scanJournal(
  journal: JournalSuperblock,
  read: ReadJournalBlock,
  signal: AbortSignal,
): Promise<ScannedJournal> {
  const found: Found = { writes: new Map(), revoked: new Map() };
  const transactions = await readTransactions(journal, read, found, signal);
  for (const [block, write] of found.writes) {
    if (write.transaction <= (found.revoked.get(block) ?? -1)) found.writes.delete(block);
  }
  await verifyContents(journal, read, found.writes, signal);
  return { transactions, blocks: found.writes, nextSequence: (journal.sequence + transactions) >>> 0 };
}

/** The number of whole transactions. */
async function readTransactions(
  journal: JournalSuperblock,
  read: ReadJournalBlock,
  found: Found,
  signal: AbortSignal,
): Promise<number> {
  let pending: Found = { writes: new Map(), revoked: new Map() };
  let transaction = 0;
  let transactionSum = 0xffffffff;
  let suspicious = false;
  let lastSeconds = 0n;
  const ring = ringOf(journal);
  for (;;) {
    signal.throwIfAborted();
    const at = ring.take();
    if (at === undefined) return transaction;
    const where = `ext journal block ${at}`;
    const view = new ByteView(await read(at, signal), where);
    const header = journalHeader(view);
    const sequence = (journal.sequence + transaction) >>> 0;
    if (header === undefined || header.sequence !== sequence) return transaction;
    if (header.kind === blockKinds.descriptor) {
      if (!tailIsRight(journal, view)) suspicious = true;
      if (journal.checksums === "commit") transactionSum = crc32Be(transactionSum, view.bytes);
      for (const { block, escaped, checksum } of journalTags(journal, view)) {
        const journalBlock = ring.take();
        if (journalBlock === undefined && suspicious) return transaction;
        if (journalBlock === undefined) throw imageCorrupt(where, "its transaction is longer than the log");
        pending.writes.set(block, { journalBlock, escaped, checksum, transaction, sequence });
        if (journal.checksums !== "commit") continue;
        transactionSum = crc32Be(transactionSum, await read(journalBlock, signal));
      }
    } else if (header.kind === blockKinds.revoke) {
      if (!tailIsRight(journal, view)) suspicious = true;
      else for (const block of revokedBlocks(journal, view)) pending.revoked.set(block, transaction);
    } else if (header.kind === blockKinds.commit) {
      const seconds = commitSeconds(view);
      if (suspicious || !commitIsRight(journal, view, transactionSum)) {
        if (seconds < lastSeconds) return transaction;
        throw imageCorrupt(where, `the checksums of transaction ${sequence} are wrong`);
      }
      lastSeconds = seconds;
      keep(found, pending);
      pending = { writes: new Map(), revoked: new Map() };
      transaction += 1;
      transactionSum = 0xffffffff;
    } else {
      return transaction;
    }
    refuseMany(found, pending);
  }
}

/** Gives the log's blocks one after the other from its tail, once round. */
function ringOf(journal: JournalSuperblock): { take(): number | undefined } {
  let next = journal.start;
  let left = journal.end - journal.first;
  return {
    take(): number | undefined {
      if (left === 0) return undefined;
      left -= 1;
      const block = next;
      next = next + 1 < journal.end ? next + 1 : journal.first;
      return block;
    },
  };
}

function keep(found: Found, pending: Found): void {
  for (const [block, write] of pending.writes) found.writes.set(block, write);
  for (const [block, transaction] of pending.revoked) found.revoked.set(block, transaction);
}

function refuseMany(found: Found, pending: Found): void {
  const blocks = Math.max(found.writes.size + pending.writes.size, found.revoked.size + pending.revoked.size);
  if (blocks > maxBlocks) throw notSupported(`A journal with more than ${maxBlocks} blocks to replay`);
}

/** In the order of the log, so that each stretch of it is read once. */
async function verifyContents(
  journal: JournalSuperblock,
  read: ReadJournalBlock,
  writes: ReadonlyMap<number, Write>,
  signal: AbortSignal,
): Promise<void> {
  if (journal.checksums !== 2 && journal.checksums !== 3) return;
  const inOrder = [...writes.values()].toSorted((one, other) => one.journalBlock - other.journalBlock);
  for (const { journalBlock, sequence, checksum } of inOrder) {
    signal.throwIfAborted();
    if (contentIsRight(journal, checksum, sequence, await read(journalBlock, signal))) continue;
    throw imageCorrupt(`ext journal block ${journalBlock}`, "its checksum is wrong");
  }
}
