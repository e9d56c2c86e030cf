/** From a file system in use to what the kernel would find after mounting it, without writing. */
import type { BlockDevice } from "../../../../ports/block-device.ts";
import { hasCode } from "../../../../core/errors.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import type { ExtVolume } from "../ext-volume.ts";
import type { ExtSuperblock } from "../superblock.ts";
import { parseSuperblock, superblockBytes, superblockOffset } from "../superblock.ts";
import { findFastCommits } from "./fast-commits.ts";
import { openJournalFile } from "./journal-file.ts";
import type { JournalOverlay } from "./journal-overlay.ts";
import { overlayJournal } from "./journal-overlay.ts";
import type { JournalSuperblock } from "./journal-superblock.ts";
import { parseJournalSuperblock } from "./journal-superblock.ts";
import type { ReadJournalBlock } from "./scan-journal.ts";
import { scanJournal } from "./scan-journal.ts";

export type Replay =
  | {
      readonly kind: "replayed";
      /** As the journal leaves it. */
      readonly superblock: ExtSuperblock;
      readonly overlay: JournalOverlay;
      readonly note: string;
      readonly missing: string | undefined;
    }
  /** `reason` is a sentence. */
  | { readonly kind: "impossible"; readonly reason: string };

/** Blocks are read from the journal this many bytes at a time: the log is read from its tail to its end. */
const windowBytes = 1024 * 1024;

/** Damage in the journal is an answer; damage in the vault is an error as everywhere. */
export async function replayJournal(volume: ExtVolume, signal: AbortSignal): Promise<Replay> {
  if (volume.superblock.journalInode === 0) {
    return { kind: "impossible", reason: "Its journal lies on another device, which is not read." };
  }
  try {
    return await replay(volume, signal);
  } catch (error) {
    if (hasCode(error, "image-corrupt", "not-supported")) {
      return { kind: "impossible", reason: `Its journal cannot be replayed. ${error.message}` };
    }
    throw error;
  }
}

async function replay(volume: ExtVolume, signal: AbortSignal): Promise<Replay> {
  const { blockBytes } = volume.superblock;
  const file = await openJournalFile(volume, signal);
  const first = await file.read(0, Math.min(blockBytes, file.sizeBytes), signal);
  const journal = parseJournalSuperblock(first, blockBytes, file.sizeBytes / blockBytes);
  if (journal.start === 0) {
    const overlay = overlayJournal(volume.device, file, blockBytes, new Map());
    const note = "Its journal held nothing to replay.";
    return { kind: "replayed", superblock: volume.superblock, overlay, note, missing: errorOf(journal) };
  }
  const read = windowedReader(file, blockBytes);
  const scanned = await scanJournal(journal, read, signal);
  const overlay = overlayJournal(volume.device, file, blockBytes, scanned.blocks);
  const superblock = await replayedSuperblock(volume, overlay, signal);
  for (const block of scanned.blocks.keys()) {
    if (block >= superblock.blocks) throw imageCorrupt("ext journal", `it has content for block ${block}`);
  }
  const note = `Its journal was replayed in memory: ${count(scanned.transactions, "transaction")}, ${count(scanned.blocks.size, "block")}.`;
  const missing = await missingChanges(journal, read, scanned.nextSequence, signal);
  return { kind: "replayed", superblock, overlay, note, missing };
}

/** The file system may have grown since it was mounted; what a block is stays. */
async function replayedSuperblock(
  volume: ExtVolume,
  overlay: JournalOverlay,
  signal: AbortSignal,
): Promise<ExtSuperblock> {
  const { device } = overlay;
  const bytes = await device.read(superblockOffset, superblockBytes, signal);
  const superblock = parseSuperblock(bytes, device.sizeBytes, true);
  if (superblock.blockBytes === volume.superblock.blockBytes) return superblock;
  throw imageCorrupt("ext journal", `it changes blocks to ${superblock.blockBytes} bytes`);
}

/** What replaying blocks alone does not bring back. */
async function missingChanges(
  journal: JournalSuperblock,
  read: ReadJournalBlock,
  sequence: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (!(await findFastCommits(journal, read, sequence, signal))) return errorOf(journal);
  return "Its newest changes lie in fast commits, which are not read: files written in the last seconds may be old or missing.";
}

function errorOf(journal: JournalSuperblock): string | undefined {
  return journal.hasError ? "The kernel had stopped its journal because of an error." : undefined;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? "" : "s"}`;
}

function windowedReader(file: BlockDevice, blockBytes: number): ReadJournalBlock {
  let window = -1;
  let bytes: Uint8Array = new Uint8Array();
  return async (block, signal) => {
    const at = block * blockBytes;
    const wanted = Math.floor(at / windowBytes);
    if (wanted !== window) {
      const start = wanted * windowBytes;
      bytes = await file.read(start, Math.min(windowBytes, file.sizeBytes - start), signal);
      window = wanted;
    }
    return bytes.subarray(at - window * windowBytes, at - window * windowBytes + blockBytes);
  };
}
