/**
 * System compression (`compact /exe`): the content is kept compressed in the stream WofCompressedData, the file's own stream is one hole,
 * and a reparse point of the Windows Overlay Filter says so. The stream begins with where each chunk but the first begins, as a table of
 * 4 bytes a chunk (8 where the file has 4 GiB or more); a chunk as long as what it stands for is not compressed. Source: [MS-FSCC] names
 * the tag; the layout is that of resources in WIM files, as Microsoft's "Windows Imaging File Format" has it.
 */
import type { FilePiece, FileRange } from "../../../ports/file-system.ts";
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import { readMetadata } from "./read-stream.ts";
import type { NtfsVolume, Stream } from "./stream.ts";
import { decompressLzx, lzxChunkBytes } from "./lzx.ts";
import { decompressXpress } from "./xpress-huffman.ts";

export const compressedStreamName = "WofCompressedData";

export interface SystemCompressed {
  readonly sizeBytes: number;
  readonly format: ChunkFormat;
  readonly stored: Stream;
}

export interface ChunkFormat {
  readonly bytes: number;
  /** Of one chunk, to exactly `sizeBytes`. */
  readonly decompress: (input: Uint8Array, sizeBytes: number, where: string) => Uint8Array;
}

/** By the number of the algorithm, `FILE_PROVIDER_COMPRESSION_…` in Windows' wofapi.h. */
const formats = new Map<number, ChunkFormat>([
  [0, { bytes: 4096, decompress: decompressXpress }],
  [1, { bytes: lzxChunkBytes, decompress: decompressLzx }],
  [2, { bytes: 8192, decompress: decompressXpress }],
  [3, { bytes: 16_384, decompress: decompressXpress }],
]);

/** By what the reparse point holds; `undefined` for what is not read: files kept in a WIM, and algorithms of later systems. */
export function chunkFormat(data: ByteView): ChunkFormat | undefined {
  const fileProvider = data.u32le(4) === 2 && data.u32le(8) === 1;
  return fileProvider ? formats.get(data.u32le(12)) : undefined;
}

/** The range; beyond the file's end nothing. Memory: two chunks. */
export async function* systemCompressedPieces(
  volume: NtfsVolume,
  file: SystemCompressed,
  range: FileRange,
  signal: AbortSignal,
): AsyncGenerator<FilePiece> {
  const end = Math.min(range.offset + range.length, file.sizeBytes);
  for (let at = range.offset; at < end;) {
    const number = Math.floor(at / file.format.bytes);
    const start = number * file.format.bytes;
    const chunk = await readChunk(volume, file, number, signal);
    const content = chunk.subarray(at - start, end - start);
    yield { kind: "data", offset: at, length: content.length, content };
    at += content.length;
  }
}

async function readChunk(
  volume: NtfsVolume,
  file: SystemCompressed,
  number: number,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { stored, format, sizeBytes } = file;
  const chunkBytes = format.bytes;
  const count = Math.ceil(sizeBytes / chunkBytes);
  const entryBytes = sizeBytes > 0xffffffff ? 8 : 4;
  const tableBytes = (count - 1) * entryBytes;
  const place = async (chunk: number): Promise<number> => {
    if (chunk === 0) return tableBytes;
    if (chunk === count) return stored.sizeBytes;
    const entry = new ByteView(
      await readMetadata(volume, stored, (chunk - 1) * entryBytes, entryBytes, signal),
      stored.where,
    );
    return tableBytes + (entryBytes === 8 ? entry.u64le(0) : entry.u32le(0));
  };
  const [from, until] = [await place(number), await place(number + 1)];
  const wanted = Math.min(chunkBytes, sizeBytes - number * chunkBytes);
  if (until - from < 1 || until - from > wanted) {
    throw imageCorrupt(stored.where, `chunk ${number} of ${wanted} bytes is stored in ${until - from}`);
  }
  const bytes = await readMetadata(volume, stored, from, until - from, signal);
  return bytes.length === wanted ? bytes : format.decompress(bytes, wanted, `${stored.where}, chunk ${number}`);
}
