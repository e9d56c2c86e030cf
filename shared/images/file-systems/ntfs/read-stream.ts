/** The bytes of a stream: in pieces for what is long, whole for what is small. */
import type { FileExtent, FilePiece, FileRange } from "../../../ports/file-system.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { decompressLznt1 } from "./lznt1.ts";
import type { NtfsVolume, Stream, Stretch } from "./stream.ts";
import { stretches } from "./stream.ts";

/** Of the port: a piece is at most 1 MiB. */
const longestPiece = 1024 * 1024;

/** The range of the stream; beyond its end nothing. */
export async function* streamPieces(
  volume: NtfsVolume,
  stream: Stream,
  range: FileRange,
  signal: AbortSignal,
): AsyncGenerator<FilePiece> {
  const length = Math.min(range.length, stream.sizeBytes - range.offset);
  if (length <= 0) return;
  if (stream.kind === "resident") {
    const content = stream.value.subarray(range.offset, range.offset + length);
    yield { kind: "data", offset: range.offset, length, content };
    return;
  }
  for await (const stretch of stretches(volume.geometry, stream, range.offset, length, signal)) {
    yield* stretchPieces(volume, stream.where, stretch, signal);
  }
}

export async function* streamExtents(
  volume: NtfsVolume,
  stream: Stream,
  signal: AbortSignal,
): AsyncGenerator<FileExtent> {
  if (stream.sizeBytes === 0) return;
  if (stream.kind === "resident") {
    yield { kind: "encoded", offset: 0, length: stream.sizeBytes };
    return;
  }
  for await (const stretch of stretches(volume.geometry, stream, 0, stream.sizeBytes, signal)) {
    if (stretch.kind === "unit") yield { kind: "encoded", offset: stretch.offset, length: stretch.length };
    else yield stretch;
  }
}

/**
 * All of [offset, offset + length), through the cache of the volume: for metadata. Throws `image-corrupt` where the stream ends before,
 * and where the range is longer than any metadata is, so that `length` may come from the image.
 */
export async function readMetadata(
  volume: NtfsVolume,
  stream: Stream,
  offset: number,
  length: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  if (offset < 0 || length < 0 || length > longestPiece || offset + length > stream.sizeBytes) {
    throw imageCorrupt(
      stream.where,
      `bytes ${offset} to ${offset + length - 1} are not within its ${stream.sizeBytes}`,
    );
  }
  if (stream.kind === "resident") return stream.value.subarray(offset, offset + length);
  const parts: Uint8Array[] = [];
  for await (const stretch of stretches(volume.geometry, stream, offset, length, signal)) {
    if (stretch.kind === "device") parts.push(await volume.metadata.read(stretch.deviceOffset, stretch.length, signal));
    else if (stretch.kind === "hole") parts.push(new Uint8Array(stretch.length));
    else parts.push(await unitContent(volume, stream.where, stretch, signal));
  }
  const [first] = parts;
  return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, length);
}

async function* stretchPieces(
  volume: NtfsVolume,
  where: string,
  stretch: Stretch,
  signal: AbortSignal,
): AsyncGenerator<FilePiece> {
  if (stretch.kind === "hole") {
    yield { kind: "zero", offset: stretch.offset, length: stretch.length };
    return;
  }
  if (stretch.kind === "unit") {
    const content = await unitContent(volume, where, stretch, signal);
    yield { kind: "data", offset: stretch.offset, length: stretch.length, content };
    return;
  }
  for (let at = 0; at < stretch.length; at += longestPiece) {
    const length = Math.min(longestPiece, stretch.length - at);
    const content = await volume.device.read(stretch.deviceOffset + at, length, signal);
    yield { kind: "data", offset: stretch.offset + at, length, content };
  }
}

/** What a compressed unit holds, cut to the stretch. Units are at most 1 MiB: `openStream` refuses longer ones. */
async function unitContent(
  volume: NtfsVolume,
  where: string,
  unit: Stretch & { kind: "unit" },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const stored: Uint8Array[] = [];
  for (const part of unit.parts) stored.push(await volume.device.read(part.deviceOffset, part.length, signal));
  const from = unit.offset - unit.unitOffset;
  return decompressLznt1(Buffer.concat(stored), from + unit.length, where).subarray(from);
}
