/**
 * Replays the log in memory, as the kernel does when it mounts (fs/xfs/xfs_log_recover.c): the first pass finds which buffers were freed,
 * the second puts what was logged over what is on disk. Where that is not possible the device stays as it is and the state says so.
 */
import { FarsideError } from "../../../../core/errors.ts";
import type { BlockDevice } from "../../../../ports/block-device.ts";
import type { FileSystemState } from "../../../../ports/file-system.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import type { Superblock } from "../superblock.ts";
import { Intents } from "./intents.ts";
import { LogArea } from "./log-area.ts";
import type { LogItem } from "./log-item.ts";
import { bufferFlags, itemTypes, parseBufferFormat, regionOf } from "./log-item.ts";
import type { LogRange } from "./log-range.ts";
import { findRange, readRecords } from "./log-range.ts";
import { CancelledBuffers, Replay } from "./replay.ts";
import { replayBuffer } from "./replay-buffer.ts";
import { replayCreation } from "./replay-creation.ts";
import { replayInode } from "./replay-inode.ts";
import { ReplayedBlocks } from "./replayed-blocks.ts";
import type { Transaction } from "./transactions.ts";
import { TransactionReader } from "./transactions.ts";

export interface Replayed {
  readonly device: BlockDevice;
  readonly state: FileSystemState;
}

/** Errors of the device are thrown; errors of what the log holds become the state `dirty`. */
export async function replayLog(superblock: Superblock, device: BlockDevice, signal: AbortSignal): Promise<Replayed> {
  const refusal = reasonNotToReplay(superblock);
  if (refusal !== undefined) return { device, state: { kind: "dirty", note: refusal } };
  try {
    return await replay(superblock, device, signal);
  } catch (error) {
    if (!(error instanceof FarsideError) || (error.code !== "image-corrupt" && error.code !== "not-supported"))
      throw error;
    return { device, state: { kind: "dirty", note: `Its log was not replayed: ${error.message}` } };
  }
}

function reasonNotToReplay({ features, logStart }: Superblock): string | undefined {
  if (features.needsRepair) return "It is marked as needing xfs_repair; its log was not replayed.";
  if (logStart === 0) return "Its log lies on another device; it was not replayed.";
  return undefined;
}

async function replay(superblock: Superblock, device: BlockDevice, signal: AbortSignal): Promise<Replayed> {
  const log = new LogArea(superblock, device);
  const range = await findRange(log, signal);
  if (range === undefined) return { device, state: { kind: "clean" } };
  const { unknownLogBits } = superblock.features;
  if (unknownLogBits !== 0) {
    throw imageCorrupt("XFS superblock", `its log has the unknown features 0x${unknownLogBits.toString(16)}`);
  }
  const cancelled = await findCancelled(log, range, signal);
  const blocks = new ReplayedBlocks(device, superblock.blockBytes);
  const run = new Replay(superblock, blocks, cancelled);
  const intents = new Intents();
  let count = 0;
  for await (const transaction of transactions(log, range, signal)) {
    await run.reach(transaction.lsn, signal);
    for (const item of inReplayOrder(transaction.items)) await replayItem(run, intents, item, transaction.lsn, signal);
    count += 1;
  }
  await run.finish(signal);
  return { device: blocks.device(), state: stateAfter(count, blocks.count, intents) };
}

async function* transactions(log: LogArea, range: LogRange, signal: AbortSignal): AsyncGenerator<Transaction> {
  const reader = new TransactionReader();
  for await (const record of readRecords(log, range, signal)) yield* reader.read(record);
}

async function findCancelled(log: LogArea, range: LogRange, signal: AbortSignal): Promise<CancelledBuffers> {
  const cancelled = new CancelledBuffers();
  for await (const { items } of transactions(log, range, signal)) {
    for (const item of items) {
      if (item.type !== itemTypes.buffer) continue;
      const format = parseBufferFormat(regionOf(item.regions, 0, "XFS log"));
      if ((format.flags & bufferFlags.cancel) !== 0) cancelled.add(format);
    }
  }
  return cancelled;
}

/** Buffers before the inodes in them, chains of unlinked inodes after these, cancels last (xlog_recover_reorder_trans). */
function inReplayOrder(items: readonly LogItem[]): LogItem[] {
  const groups: [LogItem[], LogItem[], LogItem[], LogItem[]] = [[], [], [], []];
  for (const item of items) groups[replayGroup(item)].push(item);
  return groups.flat();
}

function replayGroup(item: LogItem): 0 | 1 | 2 | 3 {
  if (item.type === itemTypes.createInodes) return 0;
  if (item.type !== itemTypes.buffer) return 1;
  const { flags } = parseBufferFormat(regionOf(item.regions, 0, "XFS log"));
  if ((flags & bufferFlags.cancel) !== 0) return 3;
  return (flags & bufferFlags.inodes) === 0 ? 0 : 2;
}

async function replayItem(
  run: Replay,
  intents: Intents,
  item: LogItem,
  lsn: bigint,
  signal: AbortSignal,
): Promise<void> {
  switch (item.type) {
    case itemTypes.buffer:
      return replayBuffer(run, item, lsn, signal);
    case itemTypes.inode:
      return replayInode(run, item, lsn, signal);
    case itemTypes.createInodes:
      return replayCreation(run, item, signal);
    // Quotas say how much may be written: no file shows them.
    case itemTypes.quota:
    case itemTypes.quotaOff:
      return undefined;
    default:
      if (intents.note(item)) return undefined;
      throw imageCorrupt("XFS log", `items of type 0x${item.type.toString(16)} are not known`);
  }
}

function stateAfter(transactionCount: number, blockCount: number, intents: Intents): FileSystemState {
  const done = `It was in use; its log was replayed in memory: ${transactionCount} transactions, ${blockCount} blocks.`;
  const visible = intents.unfinished(true);
  if (visible.length > 0) {
    const note = `${done} Changes of files that were under way are not finished: ${visible.join(", ")}.`;
    return { kind: "dirty", note };
  }
  const hidden = intents.unfinished(false);
  if (hidden.length === 0) return { kind: "replayed", note: done };
  return { kind: "replayed", note: `${done} Not finished, which changes no file: ${hidden.join(", ")}.` };
}
