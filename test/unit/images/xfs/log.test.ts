import { describe, expect, test } from "vitest";
import { ByteView } from "../../../../shared/images/byte-view.ts";
import { writeChecksum } from "../../../../shared/images/file-systems/xfs/checksum.ts";
import { bufferLsn, stampChecksum, stampLsn } from "../../../../shared/images/file-systems/xfs/log/buffer-header.ts";
import { findHead } from "../../../../shared/images/file-systems/xfs/log/find-head.ts";
import { convertCore } from "../../../../shared/images/file-systems/xfs/log/inode-core.ts";
import { Intents } from "../../../../shared/images/file-systems/xfs/log/intents.ts";
import { parseBufferFormat, parseItem } from "../../../../shared/images/file-systems/xfs/log/log-item.ts";
import { findRange } from "../../../../shared/images/file-systems/xfs/log/log-range.ts";
import { readRecord } from "../../../../shared/images/file-systems/xfs/log/record.ts";
import { CancelledBuffers } from "../../../../shared/images/file-systems/xfs/log/replay.ts";
import { replayLog } from "../../../../shared/images/file-systems/xfs/log/replay-log.ts";
import { ReplayedBlocks } from "../../../../shared/images/file-systems/xfs/log/replayed-blocks.ts";
import type { Transaction } from "../../../../shared/images/file-systems/xfs/log/transactions.ts";
import { TransactionReader } from "../../../../shared/images/file-systems/xfs/log/transactions.ts";
import { memoryDevice } from "../../../../shared/images/overlay-device.ts";
import {
  LogWriter,
  bufferItem,
  header,
  logBlocks,
  logOffset,
  some,
  superblock,
  transaction,
  unmount,
} from "../../../support/images/xfs-log-writer.ts";

const { signal } = new AbortController();
async function stateOf(writer: LogWriter): Promise<string> {
  return (await replayLog(superblock, writer.device, signal)).state.kind;
}

async function readTransactions(writer: LogWriter, blocks: readonly number[]): Promise<Transaction[]> {
  const reader = new TransactionReader();
  const found: Transaction[] = [];
  for (const block of blocks) found.push(...reader.read(await readRecord(writer.log, block, signal)));
  return found;
}

describe("The log of XFS", () => {
  test("that was never written, or ends with an unmount, is clean", async () => {
    const writer = new LogWriter();
    expect(await stateOf(writer)).toBe("clean");
    writer.record(transaction(1, bufferItem(800, some)));
    expect(await stateOf(writer)).toBe("replayed");
    writer.record([unmount]);
    expect(await stateOf(writer)).toBe("clean");
  });

  test("ends after its last record, wherever on the ring that is", async () => {
    const writer = new LogWriter();
    const found: unknown[] = [];
    const expected: unknown[] = [];
    for (let count = 0; count < 1500; count++) {
      const tail = writer.tailBlock;
      writer.tailBlock = writer.record(transaction(1, bufferItem(800, new Uint8Array(128 + (count % 40) * 100))));
      const nearEnd = writer.head < 40 || writer.head > logBlocks - 40;
      if (count % 29 > 0 && !nearEnd) continue;
      found.push(await findHead(writer.log, signal), await findRange(writer.log, signal));
      expected.push(writer.head, { tail, head: writer.head });
    }
    expect(found).toEqual(expected);
    expect(writer.cycle).toBeGreaterThan(2);
  });

  test("whose last record is torn ends before it; one torn further back cannot be replayed", async () => {
    const writer = new LogWriter();
    const blocks = Array.from({ length: 12 }, (_, index) => writer.record(transaction(index, bufferItem(800, some))));
    const last = blocks.at(-1) ?? 0;
    writer.bytes[logOffset + last * 512 + 600] = 0x55;
    expect(await findRange(writer.log, signal)).toEqual({ tail: 0, head: last });
    const torn = blocks[2] ?? 0;
    writer.bytes[logOffset + torn * 512 + 600] = 0x55;
    const { state, device } = await replayLog(superblock, writer.device, signal);
    expect(state.kind).toBe("dirty");
    expect(await device.read(800 * 512, 4, signal)).toEqual(new Uint8Array(4));
  });

  test("of another file system, or of a machine of another kind, is not replayed", async () => {
    const writer = new LogWriter();
    writer.record(transaction(1, bufferItem(800, some)));
    const other = { ...superblock, uuid: new Uint8Array(16) };
    expect((await replayLog(other, writer.device, signal)).state).toMatchObject({
      kind: "dirty",
      note: /another file system/,
    });
    writer.bytes[logOffset + 303] = 2;
    expect((await replayLog(superblock, writer.device, signal)).state).toMatchObject({
      kind: "dirty",
      note: /another kind/,
    });
  });

  test("on another device, or of a file system that needs repair, is not replayed", async () => {
    const writer = new LogWriter();
    const external = { ...superblock, logStart: 0 };
    expect((await replayLog(external, writer.device, signal)).state).toMatchObject({
      kind: "dirty",
      note: /another device/,
    });
    const broken = { ...superblock, features: { ...superblock.features, needsRepair: true } };
    expect((await replayLog(broken, writer.device, signal)).state).toMatchObject({ kind: "dirty", note: /xfs_repair/ });
  });
});

describe("Transactions", () => {
  test("may go on over records, in the middle of a region, and mixed with others", async () => {
    const writer = new LogWriter();
    const [format = some, content = some] = bufferItem(800, some);
    const one = writer.record([
      { id: 1, flags: 0x01 },
      { id: 2, flags: 0x01 },
      { id: 1, flags: 0, bytes: header },
      { id: 1, flags: 0, bytes: format },
      { id: 1, flags: 0x04, bytes: content.subarray(0, 50) },
    ]);
    const two = writer.record([
      { id: 2, flags: 0, bytes: header },
      { id: 1, flags: 0x08 | 0x04, bytes: content.subarray(50, 60) },
      { id: 1, flags: 0x08 | 0x10, bytes: content.subarray(60) },
      { id: 1, flags: 0x02 },
      { id: 2, flags: 0, bytes: format },
    ]);
    const found = await readTransactions(writer, [one, two]);
    expect(found.length).toBe(1);
    expect(found[0]?.items.map(({ regions }) => regions.map((region) => region.length))).toEqual([[24, 128]]);
    expect(Buffer.from(found[0]?.items[0]?.regions[1]?.bytes ?? []).equals(some)).toBe(true);
  });

  test("that began before the tail are left out", async () => {
    const writer = new LogWriter();
    const block = writer.record([
      { id: 3, flags: 0, bytes: some },
      { id: 3, flags: 0x02 },
    ]);
    expect(await readTransactions(writer, [block])).toEqual([]);
  });

  test.each([
    {
      what: "flags that nobody knows",
      operations: [
        { id: 1, flags: 0x01 },
        { id: 1, flags: 0x40 },
      ],
    },
    {
      what: "no header",
      operations: [
        { id: 1, flags: 0x01 },
        { id: 1, flags: 0, bytes: some },
      ],
    },
    { what: "too many regions", operations: transaction(1, [Uint8Array.from([0x3c, 0x12, 0xff, 0xff])]) },
    { what: "regions missing", operations: transaction(1, bufferItem(800, some).slice(0, 1)) },
  ])("with $what are damaged", async ({ operations }) => {
    const writer = new LogWriter();
    const block = writer.record(operations);
    await expect(readTransactions(writer, [block])).rejects.toMatchObject({ code: "image-corrupt" });
  });
});

describe("Buffers in the log", () => {
  test("are put over what is on disk, in the order of the log", async () => {
    const writer = new LogWriter();
    writer.record(transaction(1, bufferItem(800, new Uint8Array(128).fill(1))));
    writer.record(transaction(2, bufferItem(800, new Uint8Array(128).fill(2))));
    const { device } = await replayLog(superblock, writer.device, signal);
    expect([...(await device.read(800 * 512, 129, signal))]).toEqual([...new Uint8Array(128).fill(2), 0]);
  });

  test("that were freed later are left alone; what is logged after that counts again", async () => {
    const writer = new LogWriter();
    writer.record(transaction(1, bufferItem(800, some)));
    writer.record(transaction(2, bufferItem(800, some, 2)));
    const freed = await replayLog(superblock, writer.device, signal);
    expect(await freed.device.read(800 * 512, 4, signal)).toEqual(new Uint8Array(4));
    writer.record(transaction(3, bufferItem(800, some)));
    const used = await replayLog(superblock, writer.device, signal);
    expect(await used.device.read(800 * 512, 4, signal)).toEqual(some.subarray(0, 4));
  });

  test("older than what is on disk are left alone", async () => {
    const writer = new LogWriter();
    const onDisk = new Uint8Array(4096);
    const view = new DataView(onDisk.buffer);
    view.setUint32(0, 0x58444433);
    onDisk.set(superblock.metadataUuid, 24);
    const block = writer.record(transaction(1, bufferItem(800, some)));
    for (const [lsn, shown] of [
      [0n, 0xab],
      [2n ** 64n - 1n, 0xab],
      [(1n << 32n) + BigInt(block), 0x58],
      [1n << 32n, 0x58],
      [(1n << 32n) - 1n, 0xab],
    ] as const) {
      view.setBigUint64(16, lsn);
      writer.bytes.set(onDisk, 800 * 512);
      const { device } = await replayLog(superblock, writer.device, signal);
      expect({ lsn, first: (await device.read(800 * 512, 1, signal))[0] }).toEqual({ lsn, first: shown });
    }
  });

  test("get the number of their transaction and a checksum that fits", () => {
    const bytes = new Uint8Array(4096);
    new DataView(bytes.buffer).setUint32(0, 0x58444233);
    expect(bufferLsn(bytes, superblock)).toBeUndefined();
    bytes.set(superblock.metadataUuid, 24);
    stampLsn(bytes, superblock, 77n);
    stampChecksum(bytes, superblock);
    expect(bufferLsn(bytes, superblock)).toBe(77n);
    const sum = bytes.slice(4, 8);
    writeChecksum(bytes, 4);
    expect(bytes.slice(4, 8)).toEqual(sum);
  });

  test("say by bits which chunks they have", () => {
    const [format = some] = bufferItem(800, some);
    new DataView(format.buffer, format.byteOffset).setUint32(20, 0b1011_0001, true);
    expect(parseBufferFormat(new ByteView(format, "test")).chunks).toEqual([
      { offset: 0, length: 128 },
      { offset: 4 * 128, length: 256 },
      { offset: 7 * 128, length: 128 },
    ]);
  });

  test("count their cancels", () => {
    const cancelled = new CancelledBuffers();
    const format = { flags: 2, sector: 8, sectorCount: 8, chunks: [] };
    cancelled.add(format);
    cancelled.add(format);
    cancelled.remove(format);
    expect([cancelled.has(format), cancelled.has({ sector: 8, sectorCount: 16 })]).toEqual([true, false]);
    cancelled.remove(format);
    expect(cancelled.has(format)).toBe(false);
  });
});

describe("What a replay keeps", () => {
  test("is bounded: a log that changes more is shown as it lies", async () => {
    const blocks = new ReplayedBlocks(memoryDevice(new Uint8Array(100 * 4096)), 4096, 3 * 4096);
    for (const offset of [0, 512, 4096, 9000]) await blocks.write(offset, some, "test", signal);
    expect(blocks.count).toBe(3);
    await expect(blocks.write(50_000, some, "test", signal)).rejects.toMatchObject({ code: "not-supported" });
    await expect(blocks.write(100 * 4096 - 5, some, "test", signal)).rejects.toMatchObject({ code: "image-corrupt" });
    expect((await blocks.read(9000 - 4, 8, "test", signal)).toString()).toBe("0,0,0,0,171,171,171,171");
  });

  test("of inodes is turned from the machine's order of bytes to the disk's", () => {
    const core = new Uint8Array(176);
    const view = new DataView(core.buffer);
    core[4] = 3;
    view.setUint16(2, 0o100644, true);
    view.setBigUint64(56, 123_456_789_012n, true);
    view.setUint32(40, 1_600_000_000, true);
    view.setUint32(44, 5, true);
    const inode = new Uint8Array(512).fill(0xee);
    convertCore(new ByteView(core, "test"), inode, 42n);
    const disk = new DataView(inode.buffer);
    expect([disk.getUint16(2), disk.getBigUint64(56), disk.getUint32(40), disk.getUint32(44)]).toEqual([
      0o100644,
      123_456_789_012n,
      1_600_000_000,
      5,
    ]);
    expect([disk.getBigUint64(112), disk.getUint32(96)]).toEqual([42n, 0xeeeeeeee]);
    view.setBigUint64(120, 8n, true);
    convertCore(new ByteView(core, "test"), inode, 42n);
    expect(disk.getBigUint64(40)).toBe((5n << 32n) + 1_600_000_000n);
  });

  test("are the intents that were not done, the visible apart from the others", () => {
    const item = (type: number, id: number): ReturnType<typeof parseItem> => {
      const bytes = Buffer.alloc(16);
      bytes.writeUInt16LE(type, 0);
      bytes.writeUInt16LE(1, 2);
      bytes.writeBigUInt64LE(BigInt(id), 8);
      return parseItem([bytes], "test");
    };
    const intents = new Intents();
    for (const [type, id] of [
      [0x1236, 1],
      [0x1236, 2],
      [0x1237, 1],
      [0x1244, 3],
      [0x1245, 3],
      [0x1244, 4],
    ] as const) {
      expect(intents.note(item(type, id))).toBe(true);
    }
    expect(intents.note(item(0x9999, 1))).toBe(false);
    expect(intents.unfinished(false)).toEqual(["1 EFI (free extents)"]);
    expect(intents.unfinished(true)).toEqual(["1 BUI (map extents of a file)"]);
  });

  test("makes a file system dirty where a change of files is not finished", async () => {
    const writer = new LogWriter();
    const intent = Buffer.alloc(16);
    intent.writeUInt16LE(0x1244, 0);
    intent.writeUInt16LE(1, 2);
    writer.record(transaction(1, [intent]));
    const { state } = await replayLog(superblock, writer.device, signal);
    expect(state).toMatchObject({ kind: "dirty", note: /1 BUI \(map extents of a file\)/ });
  });
});
