/**
 * Where the log ends: the block that would have been written next. Blocks before it have the newest cycle, those after it an older one;
 * up to eight writes were under way at once and may have reached the disk in any order, so the last 2 MiB are looked at block by block.
 * The steps are those of the kernel (xlog_find_head, xlog_find_zeroed): where they differ, so would the files that are shown.
 */
import { imageCorrupt } from "../../../image-errors.ts";
import type { LogArea } from "./log-area.ts";
import { cycleAt, logBlockBytes, recordMagic } from "./log-area.ts";
import { parseHeader } from "./record.ts";

/** Undefined: nothing was ever written to the log. */
export async function findHead(log: LogArea, signal: AbortSignal): Promise<number | undefined> {
  const last = log.blockCount - 1;
  const firstCycle = await log.cycle(0, signal);
  const lastCycle = await log.cycle(last, signal);
  if (firstCycle === 0) return undefined;
  if (lastCycle === 0) return headBeforeZeros(log, signal);
  if (firstCycle === lastCycle) {
    // The whole ring has one cycle; a hole of the one before may still lie near its end.
    const head = await headByScan(log, log.blockCount, lastCycle - 1, signal);
    return (await startOfTornRecord(log, head, signal)) % log.blockCount;
  }
  const boundary = await firstOfCycle(log, last, lastCycle, signal);
  const head = await headByScan(log, boundary, lastCycle, signal);
  return (await startOfTornRecord(log, head, signal)) % log.blockCount;
}

/** Blocks of the longest record, and of all that can be under way at once (XLOG_REC_SHIFT, XLOG_TOTAL_REC_SHIFT: eight of them). */
function recordBlocks(log: LogArea): number {
  return ((log.version2 ? 256 : 32) * 1024) / logBlockBytes;
}

/** The part of the ring that was not used yet holds zeros. */
async function headBeforeZeros(log: LogArea, signal: AbortSignal): Promise<number> {
  const boundary = await firstOfCycle(log, log.blockCount - 1, 0, signal);
  const from = Math.max(0, boundary - recordBlocks(log) * 8);
  const head = (await firstWithCycle(log, from, boundary - from, 0, signal)) ?? boundary;
  const torn = await tornRecord(log, from, head, 0, signal);
  if (torn === undefined) throw imageCorrupt("XFS log", "no record lies before its end");
  return torn;
}

/** By halving: the first block of `cycle`, where those from there to `last` all have it. */
async function firstOfCycle(log: LogArea, last: number, cycle: number, signal: AbortSignal): Promise<number> {
  let low = 0;
  let high = last;
  for (let middle = (low + high) >>> 1; middle !== low && middle !== high; middle = (low + high) >>> 1) {
    if ((await log.cycle(middle, signal)) === cycle) high = middle;
    else low = middle;
  }
  return high;
}

/** Moves the head back to the first block before it that was not written in this turn. */
async function headByScan(log: LogArea, head: number, stopAt: number, signal: AbortSignal): Promise<number> {
  const scan = Math.min(log.blockCount, recordBlocks(log) * 8);
  if (head >= scan) return (await firstWithCycle(log, head - scan, scan, stopAt, signal)) ?? head;
  // The scan goes over the ring's start: near its end lie blocks of one turn before.
  const rest = scan - head;
  const atEnd = await firstWithCycle(log, log.blockCount - rest, rest, stopAt - 1, signal);
  return atEnd ?? (await firstWithCycle(log, 0, head, stopAt, signal)) ?? head;
}

async function firstWithCycle(
  log: LogArea,
  from: number,
  count: number,
  cycle: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (count === 0) return undefined;
  const view = await log.read(from, count, signal);
  for (let index = 0; index < count; index++) {
    if (cycleAt(view, index * logBlockBytes) === cycle) return from + index;
  }
  return undefined;
}

/** The head, or the start of the record before it where the head lies within that record. */
async function startOfTornRecord(log: LogArea, head: number, signal: AbortSignal): Promise<number> {
  const scan = Math.min(recordBlocks(log), log.blockCount);
  const inOnePart = await tornRecord(log, Math.max(0, head - scan), head, 0, signal);
  if (inOnePart !== undefined) return inOnePart;
  if (head >= scan) throw imageCorrupt("XFS log", "no record lies before its end");
  // The record began near the ring's end.
  const wrapped = await tornRecord(log, log.blockCount - (scan - head), log.blockCount, head, signal);
  if (wrapped === undefined) throw imageCorrupt("XFS log", "no record lies before its end");
  return wrapped === log.blockCount ? head : wrapped;
}

/** `extra`: blocks of the record that lie beyond `head`, at the ring's start. Undefined where no record begins from `from` on. */
async function tornRecord(
  log: LogArea,
  from: number,
  head: number,
  extra: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (head === from) return undefined;
  const view = await log.read(from, head - from, signal);
  for (let block = head - 1; block >= from; block--) {
    const at = (block - from) * logBlockBytes;
    if (view.u32be(at) !== recordMagic) continue;
    const header = parseHeader(view.sub(at, logBlockBytes, `XFS log block ${block}`), block, log.version2);
    return head - block + extra === header.headerBlocks + header.dataBlocks ? head : block;
  }
  return undefined;
}
