/** Bytes that grow in pieces of one size, without an object for each thing that was added. */
const partBytes = 256 * 1024;

export class ByteList {
  readonly #full: Uint8Array[] = [];
  #open = new Uint8Array(partBytes);
  #used = 0;

  get length(): number {
    return this.#full.length * partBytes + this.#used;
  }

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      const part = bytes.subarray(at, at + partBytes - this.#used);
      this.#open.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
      if (this.#used < partBytes) continue;
      this.#full.push(this.#open);
      this.#open = new Uint8Array(partBytes);
      this.#used = 0;
    }
  }

  *parts(): Generator<Uint8Array, void, undefined> {
    yield* this.#full;
    yield this.#open.subarray(0, this.#used);
  }
}
