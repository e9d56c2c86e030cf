/** Bytes of an NTFS image that tests change: a flag, a damaged record, a log as Windows leaves it. */
import { open } from "node:fs/promises";

const strideBytes = 512;

/** Changes a file record as it is meant, without the update sequence, and writes it back with it. */
export async function patchRecord(image: string, number: number, change: (record: Buffer) => void): Promise<void> {
  const file = await open(image, "r+");
  try {
    const boot = Buffer.alloc(512);
    await file.read(boot, 0, 512, 0);
    const clusterBytes = boot.readUInt16LE(11) * boot.readUInt8(13);
    const recordBytes = 1024;
    const at = Number(boot.readBigUInt64LE(48)) * clusterBytes + number * recordBytes;
    const record = Buffer.alloc(recordBytes);
    await file.read(record, 0, recordBytes, at);
    moveSectorEnds(record, "out");
    change(record);
    moveSectorEnds(record, "in");
    await file.write(record, 0, recordBytes, at);
  } finally {
    await file.close();
  }
}

/** `in`: a record as it lies on disk. `out`: as it is meant. The array must be there. */
export function moveSectorEnds(record: Buffer, direction: "in" | "out"): void {
  const at = record.readUInt16LE(4);
  for (let index = 1; index < record.readUInt16LE(6); index++) {
    const end = index * strideBytes - 2;
    if (direction === "in") record.copyWithin(at + 2 * index, end, end + 2);
    record.copyWithin(end, direction === "in" ? at : at + 2 * index, (direction === "in" ? at : at + 2 * index) + 2);
  }
}

/** Where the first attribute of a type begins in a record. */
export function attributeAt(record: Buffer, type: number): number {
  for (let at = record.readUInt16LE(20); record.readUInt32LE(at) !== 0xffffffff; at += record.readUInt32LE(at + 4)) {
    if (record.readUInt32LE(at) === type) return at;
  }
  throw new Error(`The record has no attribute 0x${type.toString(16)}.`);
}

/** A restart page of $LogFile. `inUse`: as of a mounted volume. */
export function restartPage(lsn: bigint, inUse: boolean): Buffer {
  const page = Buffer.alloc(4096);
  page.write("RSTR", 0, "latin1");
  page.writeUInt16LE(30, 4);
  page.writeUInt16LE(9, 6);
  page.writeUInt32LE(4096, 16);
  page.writeUInt32LE(4096, 20);
  page.writeUInt16LE(64, 24);
  page.writeUInt16LE(7, 30);
  page.writeBigUInt64LE(lsn, 64);
  page.writeUInt16LE(1, 64 + 8);
  page.writeUInt16LE(inUse ? 0xffff : 0, 64 + 10);
  page.writeUInt16LE(inUse ? 0 : 0xffff, 64 + 12);
  moveSectorEnds(page, "in");
  return page;
}
