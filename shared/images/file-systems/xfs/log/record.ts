/**
 * Records of the log (struct xlog_rec_header): what one write put there. The first word of each of its blocks was replaced by the
 * cycle, and kept in the header, or for records beyond 32 KiB in headers that follow it.
 */
import { ByteView } from "../../../byte-view.ts";
import { crc32cRaw } from "../../../crc32c.ts";
import { imageCorrupt } from "../../../image-errors.ts";
import type { LogArea } from "./log-area.ts";
import { logBlockBytes, recordMagic } from "./log-area.ts";

export interface RecordHeader {
  readonly block: number;
  readonly cycle: number;
  readonly lsn: bigint;
  /** The block of the oldest record that was still needed when this one was written. */
  readonly tailBlock: number;
  readonly lengthBytes: number;
  readonly operations: number;
  readonly headerBlocks: number;
  readonly dataBlocks: number;
  /** XLOG_FMT_*. */
  readonly format: number;
  readonly uuid: Uint8Array;
  /** Of the buffer that it was written from. */
  readonly sizeBytes: number;
}

export interface LogRecord {
  readonly header: RecordHeader;
  /** As it was before the cycles were stamped into it. */
  readonly data: ByteView;
}

/** XLOG_HEADER_CYCLE_SIZE: bytes whose first words one header keeps, and how many words these are. */
const bytesOfHeader = 32 * 1024;
const wordsOfHeader = 64;
/** XLOG_MAX_RECORD_BSIZE. */
const maxRecordBytes = 256 * 1024;
const crcAt = 32;
const wordsAt = 44;
/** sizeof(struct xlog_rec_header) on 64-bit machines, and on i386, which aligns it otherwise; the kernel accepts both. */
const checkedHeaderBytes = [328, 324] as const;
const checkedExtensionBytes = 260;

/** Throws `image-corrupt` for a block that begins no record. */
export async function readHeader(log: LogArea, block: number, signal: AbortSignal): Promise<RecordHeader> {
  return parseHeader(await log.read(block, 1, signal), block, log.version2);
}

export function parseHeader(view: ByteView, block: number, version2: boolean): RecordHeader {
  if (view.u32be(0) !== recordMagic) throw imageCorrupt(view.where, "no record begins there");
  const version = view.u32be(8);
  if (version === 0 || version > 3) throw imageCorrupt(view.where, `records of version ${version} are not known`);
  const sizeBytes = version2 ? view.u32be(320) : bytesOfHeader;
  if (sizeBytes > maxRecordBytes) throw imageCorrupt(view.where, `a record of ${sizeBytes} bytes is not possible`);
  const lengthBytes = view.u32be(12);
  return {
    block,
    cycle: view.u32be(4),
    lsn: view.big64be(16),
    tailBlock: view.u32be(28),
    lengthBytes,
    operations: view.u32be(40),
    headerBlocks: Math.max(1, Math.ceil(sizeBytes / bytesOfHeader)),
    dataBlocks: Math.ceil(lengthBytes / logBlockBytes),
    format: view.u32be(300),
    uuid: view.slice(304, 16),
    sizeBytes,
  };
}

/** Throws `image-corrupt` where the record is not whole: torn, or never written to its end. */
export async function readRecord(log: LogArea, block: number, signal: AbortSignal): Promise<LogRecord> {
  const header = await readHeader(log, block, signal);
  const { headerBlocks, dataBlocks, lengthBytes } = header;
  if (lengthBytes === 0 || lengthBytes > maxRecordBytes) {
    throw imageCorrupt(`XFS log block ${block}`, `a record of ${lengthBytes} bytes is not possible`);
  }
  const whole = await log.read(block, headerBlocks + dataBlocks, signal);
  const headers = whole.sub(0, headerBlocks * logBlockBytes, whole.where);
  const stamped = whole.slice(headers.length, lengthBytes);
  verifyRecord(headers, stamped, log.superblock.features.checksums);
  return { header, data: unstamp(headers, stamped) };
}

function verifyRecord(headers: ByteView, stamped: Uint8Array, required: boolean): void {
  const stored = headers.u32le(crcAt);
  // Records of version 4 may have none.
  if (stored === 0 && !required) return;
  const fits = checkedHeaderBytes.some((length) => recordChecksum(headers, stamped, length) === stored);
  if (!fits) throw imageCorrupt(headers.where, "the checksum of the record does not fit its content");
}

function recordChecksum(headers: ByteView, stamped: Uint8Array, headerBytes: number): number {
  let crc = crc32cRaw(0xffffffff, headers.slice(0, crcAt));
  crc = crc32cRaw(crc, new Uint8Array(4));
  crc = crc32cRaw(crc, headers.slice(crcAt + 4, headerBytes - crcAt - 4));
  // Only the headers that keep words of this record: a short one has as many as the longest, but leaves the others as they are.
  const used = Math.ceil(stamped.length / bytesOfHeader);
  for (let header = 1; header < used; header++) {
    crc = crc32cRaw(crc, headers.slice(header * logBlockBytes, checkedExtensionBytes));
  }
  return ~crc32cRaw(crc, stamped) >>> 0;
}

function unstamp(headers: ByteView, stamped: Uint8Array): ByteView {
  // Not slice(): of a Buffer, which devices may answer with, it would be the same bytes.
  const data = new Uint8Array(stamped);
  for (let block = 0; block * logBlockBytes < data.length; block++) {
    const header = Math.floor(block / wordsOfHeader);
    const words = header === 0 ? wordsAt : header * logBlockBytes + 4;
    data.set(headers.slice(words + (block % wordsOfHeader) * 4, 4), block * logBlockBytes);
  }
  return new ByteView(data, headers.where);
}
