/**
 * Numbers out of bytes that are not trusted: every access is checked and throws `image-corrupt`, naming the structure, where the
 * bytes end before it.
 */
import { imageCorrupt } from "./image-errors.ts";

export class ByteView {
  readonly bytes: Uint8Array;
  /** As for `imageCorrupt`. */
  readonly where: string;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, where: string) {
    this.bytes = bytes;
    this.where = where;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get length(): number {
    return this.bytes.length;
  }

  u8(at: number): number {
    this.#check(at, 1);
    return this.#view.getUint8(at);
  }

  u16le(at: number): number {
    this.#check(at, 2);
    return this.#view.getUint16(at, true);
  }

  u16be(at: number): number {
    this.#check(at, 2);
    return this.#view.getUint16(at);
  }

  u32le(at: number): number {
    this.#check(at, 4);
    return this.#view.getUint32(at, true);
  }

  u32be(at: number): number {
    this.#check(at, 4);
    return this.#view.getUint32(at);
  }

  i32le(at: number): number {
    this.#check(at, 4);
    return this.#view.getInt32(at, true);
  }

  i32be(at: number): number {
    this.#check(at, 4);
    return this.#view.getInt32(at);
  }

  big64le(at: number): bigint {
    this.#check(at, 8);
    return this.#view.getBigUint64(at, true);
  }

  big64be(at: number): bigint {
    this.#check(at, 8);
    return this.#view.getBigUint64(at);
  }

  /** Throws `image-corrupt` beyond 2^53: no offset, size or id of a real image gets there. */
  u64le(at: number): number {
    return this.#safe(this.big64le(at), at);
  }

  u64be(at: number): number {
    return this.#safe(this.big64be(at), at);
  }

  /** A view into the same bytes, not a copy. */
  slice(at: number, length: number): Uint8Array {
    this.#check(at, length);
    return this.bytes.subarray(at, at + length);
  }

  sub(at: number, length: number, where: string): ByteView {
    return new ByteView(this.slice(at, length), where);
  }

  /** Bytes of one letter each, up to the first NUL or to `length`. */
  ascii(at: number, length: number): string {
    const bytes = this.slice(at, length);
    const end = bytes.indexOf(0);
    return String.fromCharCode(...bytes.subarray(0, end === -1 ? length : end));
  }

  #check(at: number, length: number): void {
    if (!Number.isInteger(at) || !Number.isInteger(length) || at < 0 || length < 0 || at + length > this.bytes.length) {
      throw imageCorrupt(this.where, `bytes ${at} to ${at + length - 1} are not within its ${this.bytes.length} bytes`);
    }
  }

  #safe(value: bigint, at: number): number {
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw imageCorrupt(this.where, `the number ${value} at byte ${at} is too large`);
    }
    return Number(value);
  }
}
