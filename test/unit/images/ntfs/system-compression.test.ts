import fc from "fast-check";
import { expect, test } from "vitest";
import { FarsideError } from "../../../../shared/core/errors.ts";
import { ByteView } from "../../../../shared/images/byte-view.ts";
import { decompressLzx } from "../../../../shared/images/file-systems/ntfs/lzx.ts";
import type { NtfsVolume } from "../../../../shared/images/file-systems/ntfs/stream.ts";
import { chunkFormat, systemCompressedPieces } from "../../../../shared/images/file-systems/ntfs/system-compression.ts";
import { decompressXpress } from "../../../../shared/images/file-systems/ntfs/xpress-huffman.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";
import { packedFormats, packedStream, packedText } from "../../../support/images/packed-text.ts";

const signal = new AbortController().signal;
const empty = memoryDevice(new Uint8Array(0));
const volume: NtfsVolume = {
  device: empty,
  metadata: empty,
  geometry: { sizeBytes: 0, clusterBytes: 4096, clusterCount: 0, recordBytes: 1024, mftLcn: 0, serial: "" },
};

async function unpack(number: number, value: Uint8Array, offset = 0, length = 2 ** 40): Promise<Buffer> {
  const provider = Buffer.alloc(16);
  for (const [at, word] of [1, 2, 1, number].entries()) provider.writeUInt32LE(word, at * 4);
  const format = chunkFormat(new ByteView(provider, "test"));
  if (format === undefined) throw new Error(`The algorithm ${number} is not read.`);
  const stored = { kind: "resident", where: "test", flags: 0, sizeBytes: value.length, value } as const;
  const file = { sizeBytes: packedText().length, format, stored };
  const parts: Uint8Array[] = [];
  for await (const piece of systemCompressedPieces(volume, file, { offset, length }, signal)) {
    if (piece.kind === "data") parts.push(piece.content);
  }
  return Buffer.concat(parts);
}

test.for([...packedFormats.entries()])(
  "What wimlib packed is read, whole and in parts (%s)",
  async ([number, format]) => {
    const text = packedText();
    expect((await unpack(number, packedStream(format))).equals(text)).toBe(true);
    for (const [offset, length] of [
      [5, 10],
      [16_380, 20_000],
      [text.length - 7, 100],
      [text.length, 5],
    ] as const) {
      expect(await unpack(number, packedStream(format), offset, length)).toEqual(
        text.subarray(offset, offset + length),
      );
    }
  },
);

test("A block of LZX may hold bytes as they are", () => {
  // Kind 3 (three bits), a length of its own (one bit, 16 bits), then a new word: three distances, five bytes and one to the next word.
  const block = Buffer.concat([Buffer.from("00600050", "hex"), Buffer.alloc(12, 1), Buffer.from("plain\0")]);
  expect(Buffer.from(decompressLzx(block, 5, "test")).toString()).toBe("plain");
  expect(Buffer.from(decompressLzx(Buffer.concat([block, block]), 10, "test")).toString()).toBe("plainplain");
});

const decompressors = { "xpress-4096": decompressXpress, "lzx-32768": decompressLzx } as const;

test.for(["xpress-4096", "lzx-32768"] as const)(
  "A damaged chunk (%s) gives what was asked for, or an error",
  (name) => {
    const chunkBytes = Number(name.split("-")[1]);
    const outcome = (packed: Uint8Array): unknown => {
      try {
        return decompressors[name](packed, chunkBytes, "test").length;
      } catch (error) {
        return error instanceof FarsideError ? error.code : error;
      }
    };
    const whole = packedStream(name);
    const table = 4 * (Math.ceil(packedText().length / chunkBytes) - 1);
    const first = whole.subarray(table, table + whole.readUInt32LE(0));
    expect(outcome(first)).toBe(chunkBytes);
    fc.assert(
      fc.property(
        fc.nat(first.length - 1),
        fc.nat(255),
        fc.nat(first.length),
        fc.boolean(),
        (at, value, length, cut) => {
          const damaged = Buffer.from(first).subarray(0, cut ? length : first.length);
          if (at < damaged.length) damaged[at] = value;
          expect([chunkBytes, "image-corrupt"]).toContain(outcome(damaged));
        },
      ),
      { numRuns: 200 },
    );
  },
);

test("A stream whose table leads elsewhere is damaged", async () => {
  const damaged = packedStream("xpress-4096");
  damaged.writeUInt32LE(0xffff_fff0, 4);
  await expect(unpack(0, damaged)).rejects.toMatchObject({ code: "image-corrupt" });
});
