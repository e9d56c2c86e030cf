/** The content of files: their stretches, and the bytes in them. */
import type { FileExtent, FilePiece, FileRange } from "../../../ports/file-system.ts";
import { notSupported } from "../../image-errors.ts";
import { blockOffset } from "./addresses.ts";
import { extentsFrom } from "./extents.ts";
import type { Inode } from "./inode.ts";
import type { Metadata } from "./metadata.ts";

/** As the port says. */
const maxPieceBytes = 1024 * 1024;

/** From `start`, at or before which the first stretch begins, to the file's end; without gaps. */
export async function* fileExtents(
  metadata: Metadata,
  inode: Inode,
  start: number,
  signal: AbortSignal,
): AsyncGenerator<FileExtent> {
  if (inode.realtime) throw notSupported("A file in the realtime section of XFS");
  const { superblock } = metadata;
  const { blockBytes } = superblock;
  let at = start;
  for await (const extent of extentsFrom(metadata, inode, inode.data, Math.floor(start / blockBytes), signal)) {
    const offset = extent.offset * blockBytes;
    const end = Math.min(inode.sizeBytes, offset + extent.count * blockBytes);
    if (offset >= inode.sizeBytes) break;
    if (offset > at) yield { kind: "hole", offset: at, length: offset - at };
    at = Math.max(at, offset);
    const deviceOffset = blockOffset(superblock, extent.block, extent.count, inode.where) + at - offset;
    if (extent.unwritten) yield { kind: "hole", offset: at, length: end - at };
    else yield { kind: "device", offset: at, length: end - at, deviceOffset };
    at = end;
  }
  if (at < inode.sizeBytes) yield { kind: "hole", offset: at, length: inode.sizeBytes - at };
}

export async function* readFile(
  metadata: Metadata,
  inode: Inode,
  range: FileRange,
  signal: AbortSignal,
): AsyncGenerator<FilePiece> {
  const end = Math.min(inode.sizeBytes, range.offset + range.length);
  if (range.offset >= end) return;
  for await (const extent of fileExtents(metadata, inode, range.offset, signal)) {
    if (extent.offset >= end) return;
    const until = Math.min(end, extent.offset + extent.length);
    if (extent.kind !== "device") {
      yield { kind: "zero", offset: extent.offset, length: until - extent.offset };
      continue;
    }
    for (let at = extent.offset; at < until;) {
      const length = Math.min(maxPieceBytes, until - at);
      const content = await metadata.device.read(extent.deviceOffset + at - extent.offset, length, signal);
      yield { kind: "data", offset: at, length, content };
      at += length;
    }
  }
}
