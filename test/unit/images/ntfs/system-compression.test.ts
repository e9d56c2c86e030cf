import fc from "fast-check";
import { expect, test } from "vitest";
import { FarsideError } from "../../../../shared/core/errors.ts";
import type { NtfsVolume } from "../../../../shared/images/file-systems/ntfs/stream.ts";
import { systemCompressedPieces } from "../../../../shared/images/file-systems/ntfs/system-compression.ts";
import { decompressXpress } from "../../../../shared/images/file-systems/ntfs/xpress-huffman.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";
import { packedStream, packedText } from "../../../support/images/packed-text.ts";

const signal = new AbortController().signal;
const empty = memoryDevice(new Uint8Array(0));
const volume: NtfsVolume = {
  device: empty,
  metadata: empty,
  geometry: { sizeBytes: 0, clusterBytes: 4096, clusterCount: 0, recordBytes: 1024, mftLcn: 0, serial: "" },
};

async function unpack(chunkBytes: number, value: Uint8Array, offset = 0, length = 2 ** 40): Promise<Buffer> {
  const stored = { kind: "resident", where: "test", flags: 0, sizeBytes: value.length, value } as const;
  const file = { sizeBytes: packedText().length, chunkBytes, stored };
  const parts: Uint8Array[] = [];
  for await (const piece of systemCompressedPieces(volume, file, { offset, length }, signal)) {
    if (piece.kind === "data") parts.push(piece.content);
  }
  return Buffer.concat(parts);
}

test.for([4096, 8192, 16_384])("What wimlib packed in chunks of %i is read, whole and in parts", async (chunkBytes) => {
  const text = packedText();
  expect(await unpack(chunkBytes, packedStream(chunkBytes))).toEqual(text);
  for (const [offset, length] of [
    [5, 10],
    [16_380, 20_000],
    [text.length - 7, 100],
    [text.length, 5],
  ] as const) {
    expect(await unpack(chunkBytes, packedStream(chunkBytes), offset, length)).toEqual(
      text.subarray(offset, offset + length),
    );
  }
});

test("A chunk of any bytes ends in what was asked for, or is damaged", () => {
  const outcome = (packed: Uint8Array): unknown => {
    try {
      return decompressXpress(packed, 4096, "test").length;
    } catch (error) {
      return error instanceof FarsideError ? error.code : error;
    }
  };
  const whole = packedStream(4096);
  const table = 4 * (Math.ceil(packedText().length / 4096) - 1);
  const first = whole.subarray(table, table + whole.readUInt32LE(0));
  expect(outcome(first)).toBe(4096);
  fc.assert(
    fc.property(fc.nat(first.length - 1), fc.nat(255), fc.nat(first.length), (at, value, length) => {
      const damaged = Buffer.from(first).subarray(0, length);
      if (at < length) damaged[at] = value;
      expect([4096, "image-corrupt"]).toContain(outcome(damaged));
    }),
    { numRuns: 300 },
  );
});

test("A stream whose table leads elsewhere is damaged", async () => {
  const damaged = packedStream(4096);
  damaged.writeUInt32LE(0xffff_fff0, 4);
  await expect(unpack(4096, damaged)).rejects.toMatchObject({ code: "image-corrupt" });
});
