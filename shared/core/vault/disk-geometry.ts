/** How a disk falls into chunks and segments. All sizes in bytes; chunks and segments are numbered from 0. */
import { segmentChunks } from "./limits.ts";

export function chunkCount(diskSizeBytes: number, chunkSizeBytes: number): number {
  return Math.ceil(diskSizeBytes / chunkSizeBytes);
}

/** The last chunk is as short as the disk ends. */
export function chunkLength(diskSizeBytes: number, chunkSizeBytes: number, chunk: number): number {
  return Math.min(chunkSizeBytes, diskSizeBytes - chunk * chunkSizeBytes);
}

export function segmentCount(diskSizeBytes: number, chunkSizeBytes: number): number {
  return Math.ceil(chunkCount(diskSizeBytes, chunkSizeBytes) / segmentChunks);
}

/** How many chunks a segment of this disk has: 1,024, and what is left in the last one. */
export function segmentChunkCount(diskSizeBytes: number, chunkSizeBytes: number, segment: number): number {
  return Math.min(segmentChunks, chunkCount(diskSizeBytes, chunkSizeBytes) - segment * segmentChunks);
}
