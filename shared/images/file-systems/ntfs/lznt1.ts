/**
 * LZNT1, the compression of NTFS files: [MS-XCA] 2.5. The input is a row of chunks, each of which becomes at most 4096 bytes: a header
 * of two bytes (length, and whether it is compressed), then either bytes, or groups of a byte of flags with eight literals or
 * back references.
 */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";

const chunkBytes = 4096;

/** `sizeBytes` of output; what the input does not fill is zeros. Throws `image-corrupt` naming `where`. */
export function decompressLznt1(input: Uint8Array, sizeBytes: number, where: string): Uint8Array {
  const output = new Uint8Array(sizeBytes);
  const view = new ByteView(input, where);
  let at = 0;
  // Each chunk stands for 4096 bytes of the file even where it holds less.
  for (let start = 0; start < sizeBytes && at + 2 <= input.length; start += chunkBytes) {
    const header = view.u16le(at);
    if (header === 0) break;
    const chunk = view.slice(at + 2, (header & 0x0fff) + 1);
    const room = output.subarray(start, Math.min(start + chunkBytes, sizeBytes));
    if ((header & 0x8000) !== 0) decompressChunk(chunk, room, where);
    else if (chunk.length > room.length) throw imageCorrupt(where, "a chunk is longer than its place");
    else room.set(chunk);
    at += 2 + chunk.length;
  }
  return output;
}

function decompressChunk(chunk: Uint8Array, output: Uint8Array, where: string): void {
  let at = 0;
  let filled = 0;
  while (at < chunk.length) {
    const flags = chunk[at++] ?? 0;
    for (let bit = 0; bit < 8 && at < chunk.length; bit++) {
      if ((flags & (1 << bit)) === 0) {
        if (filled >= output.length) throw imageCorrupt(where, "a chunk becomes longer than its place");
        output[filled++] = chunk[at++] ?? 0;
        continue;
      }
      if (at + 2 > chunk.length) throw imageCorrupt(where, "a chunk ends within a back reference");
      const pair = (chunk[at] ?? 0) | ((chunk[at + 1] ?? 0) << 8);
      at += 2;
      filled = copyBack(output, filled, pair, where);
    }
  }
}

/** Of the 16 bits, the more are distance the more bytes there are to reach back over. */
function copyBack(output: Uint8Array, filled: number, pair: number, where: string): number {
  // 12 bits of length at first, one less each time the output is longer than another power of two from 16 on.
  const lengthBits = filled <= 16 ? 12 : 12 - (28 - Math.clz32(filled - 1));
  const distance = (pair >> lengthBits) + 1;
  const length = (pair & ((1 << lengthBits) - 1)) + 3;
  if (distance > filled || filled + length > output.length) {
    throw imageCorrupt(where, `a back reference of ${length} bytes, ${distance} back, at byte ${filled} of a chunk`);
  }
  for (let index = filled; index < filled + length; index++) output[index] = output[index - distance] ?? 0;
  return filled + length;
}
