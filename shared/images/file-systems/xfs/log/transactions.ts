/**
 * Transactions out of records. A record is a row of operations (struct xlog_op_header), each of one transaction; what does not fit goes on
 * in the next record. A transaction counts once its commit is there: what has none at the log's end never happened.
 */
import { imageCorrupt } from "../../../image-errors.ts";
import type { ByteView } from "../../../byte-view.ts";
import type { LogItem } from "./log-item.ts";
import { parseItem } from "./log-item.ts";
import type { LogRecord } from "./record.ts";

export interface Transaction {
  /** Of the record in which it began: newer metadata on disk is left alone. */
  readonly lsn: bigint;
  readonly items: readonly LogItem[];
}

interface OpenItem {
  /** Regions, each in the parts in which it was found. */
  readonly regions: Uint8Array[][];
  total: number;
}

interface OpenTransaction {
  readonly lsn: bigint;
  readonly items: OpenItem[];
  headerBytes: number;
  heldBytes: number;
}

/** XLOG_START_TRANS and on. */
const flags = { start: 0x01, commit: 0x02, goesOn: 0x04, wentOn: 0x08, end: 0x10, unmount: 0x20 } as const;
const operationBytes = 12;
/** XFS_TRANSACTION, XFS_LOG. */
const clients: readonly number[] = [0x69, 0xaa];
/** struct xfs_trans_header; its magic "TRAN". */
const headerBytes = 16;
const headerMagic = 0x5452414e;
/** XLOG_MAX_REGIONS_IN_ITEM: half the chunks of 128 bytes in a buffer of 64 KiB, and the format. */
const maxRegions = 257;
/**
 * Of transactions that are not committed yet. The kernel lets one grow to 64 MiB (XLOG_CIL_BLOCKING_SPACE_LIMIT: twice 32 MiB) and
 * writes up to a few at once.
 */
const maxOpenBytes = 192 * 1024 * 1024;
/** What each region costs beside its bytes, roughly. */
const regionCost = 128;

export class TransactionReader {
  readonly #open = new Map<number, OpenTransaction>();
  #heldBytes = 0;

  /** The transactions that the record commits. Throws `image-corrupt` for operations that no kernel writes. */
  *read(record: LogRecord): Generator<Transaction> {
    const { data, header } = record;
    let at = 0;
    for (let count = 0; count < header.operations && at < data.length; count++) {
      const [id, length, client, bits] = [data.u32be(at), data.u32be(at + 4), data.u8(at + 8), data.u8(at + 9)];
      if (!clients.includes(client)) throw imageCorrupt(data.where, "an operation is of an unknown client");
      const bytes = data.slice(at + operationBytes, length);
      at += operationBytes + length;
      const committed = this.#operation(id, bits, bytes, record);
      if (committed !== undefined) yield committed;
    }
  }

  #operation(id: number, bits: number, bytes: Uint8Array, record: LogRecord): Transaction | undefined {
    const open = this.#open.get(id);
    if (open === undefined) {
      const fresh = { lsn: record.header.lsn, items: [], headerBytes: 0, heldBytes: 0 };
      // Others began before the tail: what they changed is on disk.
      if ((bits & flags.start) !== 0) this.#open.set(id, fresh);
      return undefined;
    }
    const wentOn = (bits & flags.wentOn) !== 0;
    const action = bits & ~flags.end & (wentOn ? ~flags.goesOn : 0xff);
    switch (action) {
      case 0:
      case flags.goesOn:
        this.#addRegion(open, bytes, record.data);
        return undefined;
      case flags.wentOn:
        this.#addPart(open, bytes, record.data);
        return undefined;
      case flags.commit:
        this.#close(id, open);
        return { lsn: open.lsn, items: open.items.map((item) => closeItem(item, record.data)) };
      case flags.unmount:
        this.#close(id, open);
        return undefined;
      default:
        throw imageCorrupt(record.data.where, `an operation has the flags ${bits}`);
    }
  }

  #addRegion(open: OpenTransaction, bytes: Uint8Array, view: ByteView): void {
    if (bytes.length === 0) return;
    if (open.headerBytes === 0) {
      const magic = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      if (bytes.length < 4 || magic.getUint32(0, true) !== headerMagic || bytes.length > headerBytes) {
        throw imageCorrupt(view.where, "a transaction does not begin with its header");
      }
      open.headerBytes = bytes.length;
      return;
    }
    this.#hold(open, bytes.length, view);
    const last = open.items.at(-1);
    if (last !== undefined && last.regions.length < last.total) {
      last.regions.push([new Uint8Array(bytes)]);
      return;
    }
    // The first region of an item says how many it has, in its second word (as all struct xfs_*_log_format).
    const total = bytes.length < 4 ? 0 : (bytes[2] ?? 0) + (bytes[3] ?? 0) * 256;
    if (total < 1 || total > maxRegions) throw imageCorrupt(view.where, `an item cannot have ${total} regions`);
    open.items.push({ regions: [[new Uint8Array(bytes)]], total });
  }

  #addPart(open: OpenTransaction, bytes: Uint8Array, view: ByteView): void {
    const region = open.items.at(-1)?.regions.at(-1);
    if (region === undefined) {
      open.headerBytes += bytes.length;
      if (open.headerBytes > headerBytes) throw imageCorrupt(view.where, "the header of a transaction is too long");
      return;
    }
    this.#hold(open, bytes.length, view);
    region.push(new Uint8Array(bytes));
  }

  #hold(open: OpenTransaction, bytes: number, view: ByteView): void {
    open.heldBytes += bytes + regionCost;
    this.#heldBytes += bytes + regionCost;
    if (this.#heldBytes <= maxOpenBytes) return;
    throw imageCorrupt(view.where, `transactions of more than ${maxOpenBytes} bytes are not finished`);
  }

  #close(id: number, open: OpenTransaction): void {
    this.#open.delete(id);
    this.#heldBytes -= open.heldBytes;
  }
}

function closeItem(item: OpenItem, view: ByteView): LogItem {
  if (item.regions.length !== item.total)
    throw imageCorrupt(view.where, "a transaction was committed with parts missing");
  return parseItem(
    item.regions.map((parts) => (parts.length === 1 ? (parts[0] ?? new Uint8Array()) : Buffer.concat(parts))),
    view.where,
  );
}
