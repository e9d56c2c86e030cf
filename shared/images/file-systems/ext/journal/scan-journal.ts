/**
 * Reads the log from its tail to its end and says which block of it holds the newest content of which block of the file system: the
 * three passes of fs/jbd2/recovery.c (scan, revoke, replay) in one, because nothing is written. Rules, in the order of the log:
 *
 * 1. A transaction counts once its commit block is read and right. What follows the last one is an interrupted commit, and is left out.
 * 2. A wrong sum before a commit block means one of two things: old blocks of an earlier round of the ring (the commit's time is before
 *    the last one's: the log ends there), or damage (the journal cannot be replayed: throws `image-corrupt`). Where commits are
 *    asynchronous, a commit block whose own sum is wrong means a third: power failed before all of its transaction was written, and
 *    the log ends before it.
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

/** A transaction of which no commit was read yet. */
interface OpenTransaction extends Found {
  readonly number: number;
  readonly sequence: number;
  /** Over its descriptors and contents, where the journal sums these. */
  sum: number;
  /** A sum in it was wrong. */
  suspicious: boolean;
}

interface Log {
  readonly journal: JournalSuperblock;
  readonly read: ReadJournalBlock;
  /** The next block; missing where the ring has been gone round. */
  readonly take: () => number | undefined;
}

function openTransaction(journal: JournalSuperblock, number: number): OpenTransaction {
  const sequence = (journal.sequence + number) >>> 0;
  return { number, sequence, writes: new Map(), revoked: new Map(), sum: 0xffffffff, suspicious: false };
}

/** Adds what whole transactions say to `found`. Returns their number. */
async function readTransactions(
  journal: JournalSuperblock,
  read: ReadJournalBlock,
  found: Found,
  signal: AbortSignal,
): Promise<number> {
  const log: Log = { journal, read, take: ringOf(journal) };
  let open = openTransaction(journal, 0);
  let lastSeconds = 0n;
  for (let at = log.take(); at !== undefined; at = log.take()) {
    signal.throwIfAborted();
    const view = new ByteView(await read(at, signal), `ext journal block ${at}`);
    const header = journalHeader(view);
    if (header === undefined || header.sequence !== open.sequence) return open.number;
    if (header.kind === blockKinds.descriptor) {
      if (!(await addWrites(log, open, view, signal))) return open.number;
    } else if (header.kind === blockKinds.revoke) {
      addRevocations(journal, open, view);
    } else if (header.kind === blockKinds.commit) {
      const seconds = commitSeconds(view);
      if (open.suspicious || !commitIsRight(journal, view, open.sum)) {
        if (seconds < lastSeconds || (journal.asyncCommit && !open.suspicious)) return open.number;
        throw imageCorrupt(view.where, `the checksums of transaction ${open.sequence} are wrong`);
      }
      lastSeconds = seconds;
      keep(found, open);
      open = openTransaction(journal, open.number + 1);
    } else {
      return open.number;
    }
    refuseMany(found, open);
  }
  return open.number;
}

/** False where the log ends within what a damaged descriptor says. */
async function addWrites(log: Log, open: OpenTransaction, view: ByteView, signal: AbortSignal): Promise<boolean> {
  const { journal, read, take } = log;
  const summed = journal.checksums === "commit";
  if (!tailIsRight(journal, view)) open.suspicious = true;
  if (summed) open.sum = crc32Be(open.sum, view.bytes);
  for (const { block, escaped, checksum } of journalTags(journal, view)) {
    const journalBlock = take();
    if (journalBlock === undefined && open.suspicious) return false;
    if (journalBlock === undefined) throw imageCorrupt(view.where, "its transaction is longer than the log");
    open.writes.set(block, { journalBlock, escaped, checksum, transaction: open.number, sequence: open.sequence });
    if (summed) open.sum = crc32Be(open.sum, await read(journalBlock, signal));
  }
  return true;
}

function addRevocations(journal: JournalSuperblock, open: OpenTransaction, view: ByteView): void {
  if (!tailIsRight(journal, view)) open.suspicious = true;
  if (open.suspicious) return;
  for (const block of revokedBlocks(journal, view)) open.revoked.set(block, open.number);
}

/** Gives the log's blocks one after the other from its tail, once round. */
function ringOf(journal: JournalSuperblock): () => number | undefined {
  let next = journal.start;
  let left = journal.end - journal.first;
  return () => {
    if (left === 0) return undefined;
    left -= 1;
    const block = next;
    next = next + 1 < journal.end ? next + 1 : journal.first;
    return block;
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
