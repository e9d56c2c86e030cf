/**
 * Which records have to be replayed: from the tail that the last whole record names, to the head. Records that were torn by the power
 * failing are cut off, as the kernel does (xlog_find_tail, xlog_verify_head, xlog_verify_tail).
 */
import { FarsideError } from "../../../../core/errors.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import { sameBytes } from "../metadata.ts";
import { findHead } from "./find-head.ts";
import type { LogArea } from "./log-area.ts";
import { logBlockBytes, recordMagic } from "./log-area.ts";
import type { LogRecord, RecordHeader } from "./record.ts";
import { readHeader, readRecord } from "./record.ts";

export interface LogRange {
  readonly tail: number;
  readonly head: number;
}

/** XLOG_MAX_ICLOGS: writes that can be under way at once. */
const writesAtOnce = 8;
/** XLOG_UNMOUNT_TRANS. */
const unmountFlag = 0x20;

/** Undefined: the file system was unmounted, there is nothing to replay. Throws `image-corrupt` for a log that no kernel would replay. */
export async function findRange(log: LogArea, signal: AbortSignal): Promise<LogRange | undefined> {
  const head = await findHead(log, signal);
  if (head === undefined) return undefined;
  const last = await headerBefore(log, head, head, 1, signal);
  refuseForeign(log, last);
  if (await isUnmount(log, last, head, signal)) {
    refuseOlder(log, { head, last });
    return undefined;
  }
  const trimmed = await trimHead(log, head, last, signal);
  refuseOlder(log, trimmed);
  if (trimmed.head !== head && (await isUnmount(log, trimmed.last, trimmed.head, signal))) return undefined;
  const tail = await verifyTail(log, trimmed.head, trimmed.last, signal);
  return tail === trimmed.head ? undefined : { tail, head: trimmed.head };
}

/** The records of a range, in order. Throws `image-corrupt` at one that is not whole. */
export async function* readRecords(log: LogArea, range: LogRange, signal: AbortSignal): AsyncGenerator<LogRecord> {
  const length = distance(log, range.tail, range.head) || log.blockCount;
  for (let done = 0; done < length;) {
    const record = await readRecord(log, (range.tail + done) % log.blockCount, signal);
    yield record;
    done += record.header.headerBlocks + record.header.dataBlocks;
  }
}

function refuseForeign(log: LogArea, header: RecordHeader): void {
  const where = `XFS log block ${header.block}`;
  // XLOG_FMT_LINUX_LE. Items are written in the order of bytes of the machine.
  if (header.format !== 1) throw imageCorrupt(where, "the log was written by a machine of another kind");
  if (!sameBytes(header.uuid, log.superblock.uuid)) throw imageCorrupt(where, "the log is of another file system");
}

/**
 * Where metadata is newer than the log (it was zeroed, or put together from two times), replaying would pass over what it should
 * replay. As the kernel, which refuses to mount it, this looks at the superblock (xfs_log_check_lsn).
 */
function refuseOlder(log: LogArea, { head, last }: Trimmed): void {
  const cycle = last.block < head ? last.cycle : last.cycle + 1;
  if (log.superblock.lsn <= BigInt(cycle) * 2n ** 32n + BigInt(head)) return;
  throw imageCorrupt("XFS superblock", "it is newer than the log");
}

async function isUnmount(log: LogArea, last: RecordHeader, head: number, signal: AbortSignal): Promise<boolean> {
  const { block, headerBlocks, dataBlocks, operations } = last;
  if (operations !== 1 || (block + headerBlocks + dataBlocks) % log.blockCount !== head) return false;
  const operation = await log.read((block + headerBlocks) % log.blockCount, 1, signal);
  return (operation.u8(9) & unmountFlag) !== 0;
}

interface Trimmed {
  readonly head: number;
  readonly last: RecordHeader;
}

/** Only the writes that could be under way may be torn: a bad record further back is damage. */
async function trimHead(log: LogArea, head: number, last: RecordHeader, signal: AbortSignal): Promise<Trimmed> {
  const from = await headerBefore(log, head, last.tailBlock, writesAtOnce, signal);
  const bad = await firstBad(log, { tail: from.block, head }, signal);
  if (bad === undefined) return { head, last };
  const good = await headerBefore(log, bad, last.tailBlock, 1, signal);
  if (good.tailBlock === bad) throw imageCorrupt(`XFS log block ${bad}`, "the records before it are damaged");
  return { head: bad, last: good };
}

/**
 * The tail may already have been overwritten by the writes that were torn: then records in the reach of these are skipped. What they held
 * is on disk already, or their place could not have been reused.
 */
async function verifyTail(log: LogArea, head: number, last: RecordHeader, signal: AbortSignal): Promise<number> {
  if (last.tailBlock === head) return head;
  let tail = await headerFrom(log, last.tailBlock, head, signal);
  const reach = Math.ceil((writesAtOnce * last.sizeBytes) / logBlockBytes);
  for (;;) {
    const bad = await firstBad(log, { tail, head }, signal);
    if (bad === undefined) return tail;
    if ((distance(log, head, bad) || log.blockCount) > reach) {
      throw imageCorrupt(`XFS log block ${bad}`, "a record that is needed is not whole");
    }
    tail = await headerFrom(log, (bad + 1) % log.blockCount, head, signal);
  }
}

/** The block of the first record of the range that is not whole. */
async function firstBad(log: LogArea, range: LogRange, signal: AbortSignal): Promise<number | undefined> {
  let next = range.tail;
  try {
    for await (const { header } of readRecords(log, range, signal)) {
      next = (header.block + header.headerBlocks + header.dataBlocks) % log.blockCount;
    }
    return undefined;
  } catch (error) {
    if (error instanceof FarsideError && error.code === "image-corrupt") return next;
    throw error;
  }
}

/** The `count`th record before `head`, or the first one not before `tail`. */
async function headerBefore(
  log: LogArea,
  head: number,
  tail: number,
  count: number,
  signal: AbortSignal,
): Promise<RecordHeader> {
  let found = 0;
  let last: number | undefined;
  const length = distance(log, tail, head) || log.blockCount;
  for (let back = 1; back <= length && found < count; back++) {
    const block = (head - back + log.blockCount) % log.blockCount;
    if ((await log.read(block, 1, signal)).u32be(0) !== recordMagic) continue;
    last = block;
    found += 1;
  }
  if (last === undefined) throw imageCorrupt(`XFS log block ${head}`, "no record lies before it");
  const header = await readHeader(log, last, signal);
  if (header.tailBlock < log.blockCount) return header;
  throw imageCorrupt(`XFS log block ${last}`, "its tail is not within the log");
}

/** The first block from `from` on, and before `head`, at which a record begins. */
async function headerFrom(log: LogArea, from: number, head: number, signal: AbortSignal): Promise<number> {
  const length = distance(log, from, head);
  for (let on = 0; on < length; on++) {
    const block = (from + on) % log.blockCount;
    if ((await log.read(block, 1, signal)).u32be(0) === recordMagic) return block;
  }
  throw imageCorrupt(`XFS log block ${from}`, "no record lies after it");
}

/** Blocks from `from` on to `to`. */
function distance(log: LogArea, from: number, to: number): number {
  return (to - from + log.blockCount) % log.blockCount;
}
