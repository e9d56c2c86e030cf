/** The journal as a device of its own: the blocks of its inode, in their order. */
import type { BlockDevice } from "../../../../ports/block-device.ts";
import { imageCorrupt, notSupported } from "../../../image-errors.ts";
import type { MappedPiece } from "../../../mapped-device.ts";
import { mappedDevice } from "../../../mapped-device.ts";
import type { ExtVolume } from "../ext-volume.ts";
import type { BlockRun } from "../file-blocks.ts";
import { fileBlocks } from "../file-blocks.ts";
import type { ExtInode } from "../inode.ts";
import { isSet } from "../inode.ts";
import { readAnyInode } from "../inode-table.ts";
import { lastAtOrBefore } from "./journal-overlay.ts";

/** mke2fs makes one run, old block maps one for each indirect block; a journal in more pieces was not made by a tool. */
const maxRuns = 2 ** 16;
/** Block numbers in the journal's superblock have 32 bits. */
const maxBlocks = 2 ** 32;

/** The journal's inode is read without the journal, as the kernel does. */
export async function openJournalFile(volume: ExtVolume, signal: AbortSignal): Promise<BlockDevice> {
  const { journalInode, inodes, blockBytes } = volume.superblock;
  const where = "ext journal inode";
  if (journalInode > inodes) throw imageCorrupt(where, `there is no inode ${journalInode}`);
  const inode = await readAnyInode(volume, journalInode, signal);
  if (inode.kind !== "file" || isSet(inode, "inline")) throw imageCorrupt(where, "it is no file with blocks");
  const blocks = Math.floor(inode.sizeBytes / blockBytes);
  if (blocks < 1 || blocks > maxBlocks) throw imageCorrupt(where, `it has ${inode.sizeBytes} bytes`);
  const runs = await journalRuns(volume, inode, blocks, signal);
  const starts = runs.map((run) => run.first);
  return mappedDevice("ext journal", blocks * blockBytes, function* (offset, length): Generator<MappedPiece> {
    const end = offset + length;
    let index = lastAtOrBefore(starts, Math.floor(offset / blockBytes));
    for (let at = offset; at < end; index++) {
      const run = runs[index];
      if (run === undefined) throw imageCorrupt(where, "it has a hole");
      const until = Math.min(end, (run.first + run.count) * blockBytes);
      const base = (run.physical - run.first) * blockBytes;
      yield { device: volume.device, offset: base + at, length: until - at };
      at = until;
    }
  });
}

type MappedRun = BlockRun & { readonly physical: number };

async function journalRuns(
  volume: ExtVolume,
  inode: ExtInode,
  blocks: number,
  signal: AbortSignal,
): Promise<readonly MappedRun[]> {
  const runs: MappedRun[] = [];
  for await (const { first, count, physical } of fileBlocks(volume, inode, 0, blocks, signal)) {
    if (physical === undefined) throw imageCorrupt("ext journal inode", "it has a hole");
    if (runs.length === maxRuns) throw notSupported(`A journal in more than ${maxRuns} pieces`);
    runs.push({ first, count, physical });
  }
  return runs;
}
