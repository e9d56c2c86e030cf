import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { hasCode } from "../../../../shared/core/errors.ts";
import { crc32cRaw } from "../../../../shared/images/crc32c.ts";
import { crc32Be } from "../../../../shared/images/file-systems/ext/journal/crc32-be.ts";
import { overlayJournal } from "../../../../shared/images/file-systems/ext/journal/journal-overlay.ts";
import type { JournalChecksums } from "../../../../shared/images/file-systems/ext/journal/journal-superblock.ts";
import { parseJournalSuperblock } from "../../../../shared/images/file-systems/ext/journal/journal-superblock.ts";
import { scanJournal } from "../../../../shared/images/file-systems/ext/journal/scan-journal.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";
import { JournalMaker } from "../../../support/images/journal-maker.ts";

const signal = new AbortController().signal;
const kinds: readonly JournalChecksums[] = ["none", "commit", 2, 3];
const shapes = kinds.flatMap((checksums) => [true, false].map((wide) => [checksums, wide] as const));

function content(mark: number): Buffer {
  return Buffer.alloc(1024, mark);
}

/** What is shown after replay over a device of 100 blocks of 0xee. */
async function replayed(maker: JournalMaker): Promise<Buffer> {
  const { blocks } = await scanJournal(maker.superblock, maker.read, signal);
  const journal = memoryDevice(Buffer.concat(maker.blocks));
  const base = memoryDevice(Buffer.alloc(100 * 1024, 0xee));
  const { device } = overlayJournal(base, journal, 1024, blocks);
  return Buffer.from(await device.read(0, device.sizeBytes, signal));
}

function blockOf(bytes: Buffer, block: number): Buffer {
  return bytes.subarray(block * 1024, block * 1024 + 1024);
}

test("The sum of transactions is CRC-32/MPEG-2 of the catalogue of CRCs", () => {
  expect(crc32Be(0xffffffff, Buffer.from("123456789"))).toBe(0x0376e6e7);
});

describe.each(shapes)("A log with checksums %s and wide numbers %s", (checksums, wide) => {
  const make = (blocks?: number, start?: number, sequence?: number): JournalMaker =>
    new JournalMaker(checksums, wide, blocks, start, sequence);

  test("shows the newest content of each block", async () => {
    const maker = make()
      .add({ writes: [5, 6, 7].map((block) => ({ block, content: content(block) })), seconds: 100 })
      .add({ writes: [{ block: 6, content: content(66) }], seconds: 101 });
    const shown = await replayed(maker);
    expect([4, 5, 6, 7, 8].map((block) => shown[block * 1024 + 1023])).toEqual([0xee, 5, 66, 7, 0xee]);
  });

  test("gives a block that begins with the journal's magic number its beginning back", async () => {
    const escaped = content(1);
    escaped.writeUInt32BE(0xc03b3998, 0);
    const shown = await replayed(make().add({ writes: [{ block: 9, content: escaped }], seconds: 100 }));
    expect(blockOf(shown, 9)).toEqual(escaped);
  });

  test("leaves out a transaction without a commit", async () => {
    const maker = make()
      .add({ writes: [{ block: 5, content: content(1) }], seconds: 100 })
      .add({ writes: [{ block: 5, content: content(2) }] });
    expect((await replayed(maker))[5 * 1024]).toBe(1);
  });

  test("does not bring a revoked block back, but what was written to it afterwards", async () => {
    const maker = make()
      .add({ writes: [5, 6].map((block) => ({ block, content: content(1) })), seconds: 100 })
      .add({ revoked: [5, 6], seconds: 101 })
      .add({ writes: [{ block: 6, content: content(3) }], seconds: 102 });
    const shown = await replayed(maker);
    expect([shown[5 * 1024], shown[6 * 1024]]).toEqual([0xee, 3]);
  });

  test("leaves a block alone that its own transaction revokes", async () => {
    const maker = make().add({ writes: [{ block: 5, content: content(1) }], revoked: [5], seconds: 100 });
    expect((await replayed(maker))[5 * 1024]).toBe(0xee);
  });

  test("goes round at the end of the ring, and round 2^32 with its numbers", async () => {
    const maker = make(12, 10, 0xffffffff)
      .add({ writes: [5, 6].map((block) => ({ block, content: content(block) })), seconds: 100 })
      .add({ writes: [{ block: 7, content: content(7) }], seconds: 101 });
    const shown = await replayed(maker);
    expect([5, 6, 7].map((block) => shown[block * 1024])).toEqual([5, 6, 7]);
    const { transactions, nextSequence } = await scanJournal(maker.superblock, maker.read, signal);
    expect([transactions, nextSequence]).toEqual([2, 1]);
  });

  test.runIf(checksums !== "none")("cannot be replayed where a committed block is damaged", async () => {
    const maker = make()
      .add({ writes: [{ block: 5, content: content(1) }], seconds: 100 })
      .add({ writes: [{ block: 6, content: content(2) }], seconds: 101 });
    maker.blocks[2]?.writeUInt8(0xff, 500);
    await expect(replayed(maker)).rejects.toMatchObject({ code: "image-corrupt" });
  });

  test.runIf(checksums !== "none")("ends where blocks of an earlier round of the ring follow", async () => {
    const maker = make()
      .add({ writes: [{ block: 5, content: content(1) }], seconds: 100 })
      .add({ writes: [{ block: 5, content: content(2) }], seconds: 50 });
    // The second commit is older than the first, and its sum is not right.
    maker.blocks[6]?.writeUInt8(0xff, 20);
    if (checksums === "commit") maker.blocks[5]?.writeUInt8(0xff, 500);
    expect((await replayed(maker))[5 * 1024]).toBe(1);
  });

  test("ends however it is damaged", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 12 * 1024 - 1 }), fc.nat(255)), { maxLength: 8 }),
        async (changes) => {
          const maker = make(12, 3)
            .add({ writes: [5, 6].map((block) => ({ block, content: content(block) })), seconds: 100 })
            .add({ writes: [{ block: 7, content: content(7) }], revoked: [5], seconds: 101 });
          for (const [at, byte] of changes) maker.blocks[Math.floor(at / 1024)]?.writeUInt8(byte, at % 1024);
          const error = await scanJournal(maker.superblock, maker.read, signal).then(
            () => undefined,
            (thrown: unknown) => thrown,
          );
          expect(error === undefined || hasCode(error, "image-corrupt", "not-supported")).toBe(true);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("A commit block whose sum is wrong", () => {
  const torn = (asyncCommit: boolean): JournalMaker => {
    const maker = new JournalMaker("commit", false, 64, 1, 7, asyncCommit)
      .add({ writes: [{ block: 5, content: content(1) }], seconds: 100 })
      .add({ writes: [{ block: 5, content: content(2) }], seconds: 101 });
    maker.blocks[5]?.fill(0);
    return maker;
  };

  test("ends the log where commits are asynchronous: it came before the blocks of its transaction", async () => {
    expect((await replayed(torn(true)))[5 * 1024]).toBe(1);
  });

  test("is damage where they are not", async () => {
    await expect(replayed(torn(false))).rejects.toMatchObject({ code: "image-corrupt" });
  });
});

test("A log without an end is not followed for ever", async () => {
  const maker = new JournalMaker("none", false, 8);
  // Each block is a revocation of the first transaction: no commit ends it.
  maker.add({ revoked: [1] });
  for (let block = 2; block < 8; block++) maker.blocks[1]?.copy(maker.blocks[block] ?? Buffer.alloc(0));
  const { transactions } = await scanJournal(maker.superblock, maker.read, signal);
  expect(transactions).toBe(0);
});

describe("The journal over a device", () => {
  test("shows each range as bytes copied into place would, and says which parts are replaced", async () => {
    const places = fc.uniqueArray(fc.nat(9), { maxLength: 10 });
    await fc.assert(
      fc.asyncProperty(places, fc.nat(10 * 16), fc.nat(10 * 16), fc.nat(9), async (numbers, one, other, escaped) => {
        const [from, to] = [Math.min(one, other), Math.max(one, other)];
        const base = Buffer.alloc(10 * 16, 0xee);
        const journal = Buffer.concat(numbers.map((number) => Buffer.alloc(16, number)));
        const expected = Buffer.from(base);
        const blocks = new Map(
          numbers.map((number, journalBlock) => {
            expected.fill(number, number * 16, number * 16 + 16);
            if (number === escaped) expected.writeUInt32BE(0xc03b3998, number * 16);
            return [number, { journalBlock, escaped: number === escaped }] as const;
          }),
        );
        const overlay = overlayJournal(memoryDevice(base), memoryDevice(journal), 16, blocks);
        const shown = await overlay.device.read(from, to - from, signal);
        expect(Buffer.from(shown)).toEqual(expected.subarray(from, to));
        const pieces = [...overlay.pieces(from, to - from)];
        expect(pieces.reduce((sum, { length }) => sum + length, 0)).toBe(to - from);
        for (const { offset, length, replaced } of pieces) {
          expect(length).toBeGreaterThan(0);
          for (let at = offset; at < offset + length; at++) expect(blocks.has(Math.floor(at / 16))).toBe(replaced);
        }
      }),
    );
  });
});

describe("The journal's superblock", () => {
  function bytes(change: (view: Buffer) => void): Buffer {
    const view = Buffer.alloc(1024);
    for (const [at, value] of [
      [0, 0xc03b3998],
      [4, 4],
      [0x0c, 1024],
      [0x10, 4096],
      [0x14, 1],
      [0x18, 5],
      [0x1c, 17],
    ] as const) {
      view.writeUInt32BE(value, at);
    }
    change(view);
    return view;
  }
  const parse = (change: (view: Buffer) => void): unknown => parseJournalSuperblock(bytes(change), 1024, 4096);

  test("says where the log begins and ends", () => {
    expect(parse(() => {})).toMatchObject({ first: 1, end: 4096, start: 17, sequence: 5, checksums: "none" });
  });

  test("keeps the area of fast commits out of the log", () => {
    expect(parse((view) => view.writeUInt32BE(0x20, 0x28))).toMatchObject({ end: 3840, fastBlocks: 256 });
  });

  test("is refused where it contradicts itself or the file system", () => {
    const changes: ((view: Buffer) => void)[] = [
      (view) => view.writeUInt32BE(1, 0),
      (view) => view.writeUInt32BE(2048, 0x0c),
      (view) => view.writeUInt32BE(4097, 0x10),
      (view) => view.writeUInt32BE(0, 0x14),
      (view) => view.writeUInt32BE(4096, 0x1c),
      (view) => view.writeUInt32BE(0x18, 0x28),
    ];
    for (const change of changes) expect(() => parse(change)).toThrow(/damaged at the ext journal superblock/);
    expect(() => parse((view) => view.writeUInt32BE(0x40, 0x28))).toThrow(/A journal with the features 0x40/);
  });

  test("is refused with a wrong checksum", () => {
    const change = (view: Buffer): void => {
      view.writeUInt32BE(0x10, 0x28);
      view.writeUInt8(4, 0x50);
    };
    expect(() => parse(change)).toThrow(/checksum is wrong/);
    const right = bytes(change);
    right.writeUInt32BE(crc32cRaw(0xffffffff, right), 0xfc);
    expect(parseJournalSuperblock(right, 1024, 4096).checksums).toBe(3);
  });
});
