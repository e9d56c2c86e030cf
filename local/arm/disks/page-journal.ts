/**
 * The map of a layer as it is kept: one record for each range that was written or cleared, in the order of the writes. A record is four
 * numbers of 64 bits, big-endian: start, end, where the bytes are kept (all ones: cleared), and the CRC-32 of those three.
 *
 * A record is appended when its bytes are there, and by one call: a process that is killed leaves whole records. Half a record at the end
 * is what a full disk leaves; it was never acknowledged, and is cut off.
 */
import { closeSync, ftruncateSync, openSync, readFileSync, writeSync } from "node:fs";
import { crc32 } from "node:zlib";
import { PageMap, type PageRange } from "./page-map.ts";

const recordBytes = 32;
const cleared = 0xffff_ffff_ffff_ffffn;

export class PageJournal {
  readonly #path: string;
  #file: number | undefined;
  #sizeBytes: number | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  /** Throws where there is one already. */
  create(): void {
    this.#file = openSync(this.#path, "wx");
    this.#sizeBytes = 0;
  }

  /** Throws for one that is missing or damaged. */
  read(): PageMap {
    const bytes = readFileSync(this.#path);
    const map = new PageMap();
    this.#sizeBytes = bytes.length - (bytes.length % recordBytes);
    for (let at = 0; at < this.#sizeBytes; at += recordBytes) {
      const record = bytes.subarray(at, at + recordBytes);
      if (record.readBigUInt64BE(24) !== checkOf(record)) {
        throw new Error(`The map ${this.#path} of a local disk is damaged at byte ${at}.`);
      }
      map.set(decode(record));
    }
    return map;
  }

  append(range: PageRange): void {
    this.#file ??= openSync(this.#path, "r+");
    const at = this.#sizeBytes ?? 0;
    try {
      if (writeSync(this.#file, encode(range), 0, recordBytes, at) < recordBytes) throw new Error("The disk is full.");
    } catch (error) {
      ftruncateSync(this.#file, at);
      throw error;
    }
    this.#sizeBytes = at + recordBytes;
  }

  close(): void {
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }
}

function encode({ start, end, keptAt }: PageRange): Buffer {
  const record = Buffer.alloc(recordBytes);
  record.writeBigUInt64BE(BigInt(start), 0);
  record.writeBigUInt64BE(BigInt(end), 8);
  record.writeBigUInt64BE(keptAt === undefined ? cleared : BigInt(keptAt), 16);
  record.writeBigUInt64BE(checkOf(record), 24);
  return record;
}

function decode(record: Buffer): PageRange {
  const keptAt = record.readBigUInt64BE(16);
  return {
    start: Number(record.readBigUInt64BE(0)),
    end: Number(record.readBigUInt64BE(8)),
    keptAt: keptAt === cleared ? undefined : Number(keptAt),
  };
}

const checkOf = (record: Buffer): bigint => BigInt(crc32(record.subarray(0, 24)));
