/** Logs of XFS made by hand, record by record, as the kernel writes them. */
import { crc32cRaw } from "../../../shared/images/crc32c.ts";
import { LogArea } from "../../../shared/images/file-systems/xfs/log/log-area.ts";
import { memoryDevice } from "../../../shared/images/overlay-device.ts";
import { superblockOf } from "./xfs-superblock.ts";

export const superblock = superblockOf();
/** The log begins at block 100 of group 1 and has 4096 blocks of 512 bytes. */
export const logOffset = 1100 * 4096;
export const logBlocks = 4096;

/** A device of zeros with a log, to which records are written in turn. */
export class LogWriter {
  readonly bytes = new Uint8Array(4000 * 4096);
  head = 0;
  cycle = 1;
  tailBlock = 0;

  /** A record of operations, as the kernel writes one with buffers of 32 KiB. */
  record(operations: readonly Operation[]): number {
    const data = encodeOperations(operations);
    const header = new Uint8Array(512);
    const view = new DataView(header.buffer);
    const block = this.head;
    view.setUint32(0, 0xfeedbabe);
    view.setUint32(4, this.cycle);
    view.setUint32(8, 2);
    view.setUint32(12, data.length);
    view.setUint32(16, this.cycle);
    view.setUint32(20, block);
    view.setUint32(24, this.cycle);
    view.setUint32(28, this.tailBlock);
    view.setUint32(40, operations.length);
    for (let at = 0; at < data.length; at += 512) {
      header.set(data.subarray(at, at + 4), 44 + (at / 512) * 4);
      new DataView(data.buffer).setUint32(at, block + 1 + at / 512 >= logBlocks ? this.cycle + 1 : this.cycle);
    }
    view.setUint32(300, 1);
    header.set(superblock.uuid, 304);
    view.setUint32(320, 32 * 1024);
    let crc = crc32cRaw(0xffffffff, header.subarray(0, 328));
    crc = crc32cRaw(crc, data);
    view.setUint32(32, ~crc >>> 0, true);
    this.#put(header);
    for (let at = 0; at < data.length; at += 512) this.#put(data.subarray(at, at + 512));
    return block;
  }

  get device(): ReturnType<typeof memoryDevice> {
    return memoryDevice(this.bytes);
  }

  get log(): LogArea {
    return new LogArea(superblock, this.device);
  }

  #put(block: Uint8Array): void {
    this.bytes.set(block, logOffset + this.head * 512);
    this.head += 1;
    if (this.head < logBlocks) return;
    this.head = 0;
    this.cycle += 1;
  }
}

interface Operation {
  readonly id: number;
  readonly flags: number;
  readonly bytes?: Uint8Array;
}

/** Padded to whole blocks. */
function encodeOperations(operations: readonly Operation[]): Uint8Array {
  const parts = operations.map(({ id, flags, bytes = new Uint8Array() }) => {
    const head = Buffer.alloc(12);
    head.writeUInt32BE(id, 0);
    head.writeUInt32BE(bytes.length, 4);
    head[8] = 0x69;
    head[9] = flags;
    return Buffer.concat([head, bytes]);
  });
  const joined = Buffer.concat(parts);
  const data = new Uint8Array(Math.ceil(joined.length / 512) * 512);
  data.set(joined);
  return data;
}

/** struct xfs_trans_header, of 40 as its type. */
export const header = Uint8Array.from([0x4e, 0x41, 0x52, 0x54, 40, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);

/** A buffer item: 128 bytes at the start of 8 sectors. */
export function bufferItem(sector: number, content: Uint8Array, flags = 0): Uint8Array[] {
  const format = Buffer.alloc(24);
  format.writeUInt16LE(0x123c, 0);
  format.writeUInt16LE(flags === 2 ? 1 : 2, 2);
  format.writeUInt16LE(flags, 4);
  format.writeUInt16LE(8, 6);
  format.writeBigUInt64LE(BigInt(sector), 8);
  format.writeUInt32LE(1, 16);
  format.writeUInt32LE(flags === 2 ? 0 : 1, 20);
  return flags === 2 ? [format] : [format, content];
}

export function transaction(id: number, regions: readonly Uint8Array[]): Operation[] {
  return [
    { id, flags: 0x01 },
    { id, flags: 0, bytes: header },
    ...regions.map((bytes) => ({ id, flags: 0, bytes })),
    { id, flags: 0x02 },
  ];
}

export const unmount: Operation = { id: 9, flags: 0x20, bytes: Uint8Array.from([0x6e, 0x55, 0, 0, 0, 0, 0, 0]) };
/** What a buffer item brings. */
export const some = new Uint8Array(128).fill(0xab);
