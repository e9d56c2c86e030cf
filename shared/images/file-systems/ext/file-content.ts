/** The content of files: as pieces, and as where it lies. */
import type { FileExtent, FilePiece, FileRange } from "../../../ports/file-system.ts";
import { imageCorrupt, notSupported } from "../../image-errors.ts";
import { inlineRest } from "./inline-data.ts";
import type { ExtVolume } from "./ext-volume.ts";
import { fileBlocks } from "./file-blocks.ts";
import type { ExtInode } from "./inode.ts";
import { isSet } from "./inode.ts";

/** The port's limit for a piece; pieces end where one such of the device does, to touch each stored chunk once. */
const pieceBytes = 1024 * 1024;

interface Stretch {
  readonly offset: number;
  readonly length: number;
  /** Missing: zeros. */
  readonly deviceOffset: number | undefined;
}

export async function* readContent(
  volume: ExtVolume,
  inode: ExtInode,
  range: FileRange,
  signal: AbortSignal,
): AsyncGenerator<FilePiece> {
  refuseEncrypted(inode);
  const start = Math.min(range.offset, inode.sizeBytes);
  const end = Math.min(range.offset + range.length, inode.sizeBytes);
  if (isSet(inode, "inline")) {
    yield* inlinePieces(inode, start, end);
    return;
  }
  for await (const { offset, length, deviceOffset } of stretches(volume, inode, start, end, signal)) {
    if (deviceOffset === undefined) {
      yield { kind: "zero", offset, length };
      continue;
    }
    for (let done = 0; done < length;) {
      const count = Math.min(length - done, pieceBytes - ((deviceOffset + done) % pieceBytes));
      const content = await volume.device.read(deviceOffset + done, count, signal);
      yield { kind: "data", offset: offset + done, length: count, content };
      done += count;
    }
  }
}

/** The whole content of something small, whose size the caller has checked. */
export async function readExactly(volume: ExtVolume, inode: ExtInode, signal: AbortSignal): Promise<Uint8Array> {
  const bytes = new Uint8Array(inode.sizeBytes);
  for await (const piece of readContent(volume, inode, { offset: 0, length: inode.sizeBytes }, signal)) {
    if (piece.kind === "data") bytes.set(piece.content, piece.offset);
  }
  return bytes;
}

/** What the journal lies over is `encoded`: the device below holds other bytes there. */
export async function* contentExtents(
  volume: ExtVolume,
  inode: ExtInode,
  signal: AbortSignal,
): AsyncGenerator<FileExtent> {
  refuseEncrypted(inode);
  if (isSet(inode, "inline")) {
    if (inode.sizeBytes > 0) yield { kind: "encoded", offset: 0, length: inode.sizeBytes };
    return;
  }
  for await (const { offset, length, deviceOffset } of stretches(volume, inode, 0, inode.sizeBytes, signal)) {
    if (deviceOffset === undefined) {
      yield { kind: "hole", offset, length };
      continue;
    }
    for (const piece of volume.replacements(deviceOffset, length)) {
      const at = { offset: offset + piece.offset - deviceOffset, length: piece.length };
      if (piece.replaced) yield { kind: "encoded", ...at };
      else yield { kind: "device", ...at, deviceOffset: piece.offset };
    }
  }
}

async function* stretches(
  volume: ExtVolume,
  inode: ExtInode,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Stretch> {
  if (start >= end) return;
  const { blockBytes } = volume.superblock;
  const [from, to] = [Math.floor(start / blockBytes), Math.ceil(end / blockBytes)];
  for await (const run of fileBlocks(volume, inode, from, to, signal)) {
    const offset = Math.max(start, run.first * blockBytes);
    const length = Math.min(end, (run.first + run.count) * blockBytes) - offset;
    const deviceOffset = run.physical === undefined ? undefined : (run.physical - run.first) * blockBytes + offset;
    yield { offset, length, deviceOffset };
  }
}

/** In the inode; as the kernel shows it, zeros follow where the file is longer than what it holds. */
function* inlinePieces(inode: ExtInode, start: number, end: number): Generator<FilePiece> {
  let at = 0;
  for (const part of [inode.root.bytes, inlineRest(inode).bytes]) {
    const from = Math.max(start, at);
    const to = Math.min(end, at + part.length);
    if (from < to) {
      yield { kind: "data", offset: from, length: to - from, content: part.subarray(from - at, to - at) };
    }
    at += part.length;
  }
  const from = Math.max(start, at);
  if (from < end) yield { kind: "zero", offset: from, length: end - from };
}

/** The key is not in the image. Throws `not-supported`. */
export function refuseEncrypted(inode: ExtInode): void {
  if (isSet(inode, "encrypted")) throw notSupported(`${inode.where}: what fscrypt has encrypted`);
}

/** A link's target: in i_block where it is short, else as a file's content. */
export async function readTarget(volume: ExtVolume, inode: ExtInode, signal: AbortSignal): Promise<Uint8Array> {
  refuseEncrypted(inode);
  const { sizeBytes, where, root } = inode;
  // A target is one block at most (ext4_symlink), and PATH_MAX (4,096) for the kernel that reads it.
  if (sizeBytes === 0 || sizeBytes > 4096) throw imageCorrupt(where, `it is a link of ${sizeBytes} bytes`);
  // ext2fs_is_fast_symlink of e2fsprogs.
  const short = sizeBytes < root.length && !isSet(inode, "inline") && !isSet(inode, "extents");
  return short ? root.slice(0, sizeBytes) : readExactly(volume, inode, signal);
}
