/** Replays a buffer item: 128-byte chunks of a block of metadata (xlog_recover_buf_commit_pass2). */
import { ByteView } from "../../../byte-view.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import { writeChecksum } from "../checksum.ts";
import { inodeMagic } from "../inode.ts";
import { bufferLsn } from "./buffer-header.ts";
import type { BufferFormat, LogItem } from "./log-item.ts";
import { bufferFlags, chunkBytes, parseBufferFormat, regionOf } from "./log-item.ts";
import type { Replay } from "./replay.ts";

/** di_next_unlinked and di_crc of struct xfs_dinode. */
const nextUnlinkedAt = 96;
const inodeChecksumAt = 100;

export async function replayBuffer(replay: Replay, item: LogItem, lsn: bigint, signal: AbortSignal): Promise<void> {
  const { superblock, blocks, cancelled } = replay;
  const format = parseBufferFormat(regionOf(item.regions, 0, "XFS log"));
  if ((format.flags & bufferFlags.cancel) !== 0) {
    cancelled.remove(format);
    return;
  }
  // Quotas say how much may be written: no file shows them.
  if (cancelled.has(format) || (format.flags & bufferFlags.quota) !== 0) return;
  const where = `XFS buffer at sector ${format.sector}`;
  const bytes = await blocks.read(format.sector * 512, format.sectorCount * 512, where, signal);
  const onDisk = bufferLsn(bytes, superblock);
  if (onDisk !== undefined && onDisk >= lsn) return;
  if ((format.flags & bufferFlags.inodes) !== 0) {
    copyUnlinkedPointers(replay, format, item, bytes);
    await blocks.write(format.sector * 512, bytes, where, signal);
    return;
  }
  for (const { offset, content } of loggedChunks(format, item)) bytes.set(content, offset);
  await blocks.write(format.sector * 512, bytes, where, signal);
  replay.noteChanged(format);
}

interface Chunks {
  readonly offset: number;
  readonly content: Uint8Array;
}

/** A run of chunks may be cut into several regions, where the buffer's pages in memory did not follow each other. */
function* loggedChunks(format: BufferFormat, item: LogItem): Generator<Chunks> {
  let index = 1;
  for (const run of format.chunks) {
    for (let done = 0; done < run.length; index++) {
      const region = regionOf(item.regions, index, "XFS log");
      const length = Math.min(run.length - done, Math.floor(region.length / chunkBytes) * chunkBytes);
      if (length === 0) throw imageCorrupt(region.where, "a region of a buffer is shorter than a chunk");
      yield { offset: run.offset + done, content: region.slice(0, length) };
      done += length;
    }
  }
}

/**
 * Of buffers of inodes only the chains of unlinked inodes count: all else of an inode is logged by the inode itself, and what lies in the
 * same chunks may be older.
 */
function copyUnlinkedPointers(replay: Replay, format: BufferFormat, item: LogItem, bytes: Uint8Array): void {
  const { inodeBytes, features } = replay.superblock;
  for (const { offset, content } of loggedChunks(format, item)) {
    for (
      let inode = Math.floor(offset / inodeBytes) * inodeBytes;
      inode < offset + content.length;
      inode += inodeBytes
    ) {
      const from = inode + nextUnlinkedAt - offset;
      if (from < 0 || from + 4 > content.length || inode + inodeBytes > bytes.length) continue;
      bytes.set(content.subarray(from, from + 4), inode + nextUnlinkedAt);
      const whole = bytes.subarray(inode, inode + inodeBytes);
      const isInode = new ByteView(whole, "XFS inode").u16be(0) === inodeMagic;
      if (features.checksums && isInode) writeChecksum(whole, inodeChecksumAt);
    }
  }
}
