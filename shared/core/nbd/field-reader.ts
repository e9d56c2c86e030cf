/** Fields out of what a client sent: each is undefined where the bytes end before it. */
const utf8 = new TextDecoder("utf-8", { fatal: true });

export class FieldReader {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Whether all bytes were read. */
  get atEnd(): boolean {
    return this.#at === this.#bytes.length;
  }

  u16(): number | undefined {
    const at = this.#take(2);
    return at === undefined ? undefined : this.#view.getUint16(at);
  }

  u32(): number | undefined {
    const at = this.#take(4);
    return at === undefined ? undefined : this.#view.getUint32(at);
  }

  u64(): bigint | undefined {
    const at = this.#take(8);
    return at === undefined ? undefined : this.#view.getBigUint64(at);
  }

  /** Undefined also where the bytes are no UTF-8. */
  text(length: number): string | undefined {
    const at = this.#take(length);
    if (at === undefined) return undefined;
    try {
      return utf8.decode(this.#bytes.subarray(at, at + length));
    } catch {
      return undefined;
    }
  }

  /** A text with its length, 32 bits, before it. */
  countedText(): string | undefined {
    const length = this.u32();
    return length === undefined ? undefined : this.text(length);
  }

  #take(length: number): number | undefined {
    const at = this.#at;
    if (at + length > this.#bytes.length) return undefined;
    this.#at += length;
    return at;
  }
}
