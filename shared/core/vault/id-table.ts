/**
 * A table of object ids in few bytes: 32 for the id, 4 for the plain length and 1 for flags, in arrays that double as they fill.
 * Between 56 and 111 bytes for each id, against some 300 in a Map of strings; half as much again while it doubles.
 */
import type { ObjectId } from "./manifest.ts";
import { objectIdAt } from "./object-id.ts";

const used = 128;
const bits = { seen: 1, damaged: 2 } as const;
export type IdMark = keyof typeof bits;

export class IdTable {
  #capacity: number;
  #count = 0;
  #ids: Buffer;
  #lengths: Uint32Array;
  #flags: Uint8Array;
  /** How many ids begin with each byte. */
  readonly perFirstByte = new Uint32Array(256);

  /** `capacity` is a power of two. */
  constructor(capacity = 1024) {
    this.#capacity = capacity;
    this.#ids = Buffer.alloc(capacity * 32);
    this.#lengths = new Uint32Array(capacity);
    this.#flags = new Uint8Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /** The plain length under which the id was added first. */
  add(id: Uint8Array, plainBytes: number): number {
    // Full at 7/8 would still find places; beyond 2/3 the searches grow long.
    if ((this.#count + 1) * 3 > this.#capacity * 2) this.#grow();
    const at = this.#find(id);
    if (this.#flags[at] !== 0) return this.#lengths[at] ?? 0;
    this.#ids.set(id, at * 32);
    this.#lengths[at] = plainBytes;
    this.#flags[at] = used;
    this.#count += 1;
    const first = id[0] ?? 0;
    this.perFirstByte[first] = (this.perFirstByte[first] ?? 0) + 1;
    return plainBytes;
  }

  /** The plain length of an id; undefined where it is not in the table. */
  lengthOf(id: Uint8Array): number | undefined {
    const at = this.#find(id);
    return this.#flags[at] === 0 ? undefined : this.#lengths[at];
  }

  /** Marks an id that is in the table. */
  mark(id: Uint8Array, mark: IdMark): void {
    const at = this.#find(id);
    const flags = this.#flags[at] ?? 0;
    if (flags !== 0) this.#flags[at] = flags | bits[mark];
  }

  /** The ids that do not carry the mark, with their plain lengths, in no particular order. */
  *without(mark: IdMark): Generator<{ readonly id: ObjectId; readonly plainBytes: number }> {
    for (let at = 0; at < this.#capacity; at++) {
      const flags = this.#flags[at] ?? 0;
      if (flags === 0 || (flags & bits[mark]) !== 0) continue;
      yield { id: objectIdAt(this.#ids, at * 32), plainBytes: this.#lengths[at] ?? 0 };
    }
  }

  /** The place of an id, or the free place where it belongs. Ids are hashes: any four of their bytes spread well. */
  #find(id: Uint8Array): number {
    const start = ((id[4] ?? 0) | ((id[5] ?? 0) << 8) | ((id[6] ?? 0) << 16) | ((id[7] ?? 0) << 24)) >>> 0;
    let at = start & (this.#capacity - 1);
    while (this.#flags[at] !== 0 && this.#ids.compare(id, 0, 32, at * 32, at * 32 + 32) !== 0) {
      at = (at + 1) & (this.#capacity - 1);
    }
    return at;
  }

  #grow(): void {
    const bigger = new IdTable(this.#capacity * 2);
    for (let at = 0; at < this.#capacity; at++) {
      const flags = this.#flags[at] ?? 0;
      if (flags === 0) continue;
      const id = this.#ids.subarray(at * 32, at * 32 + 32);
      const place = bigger.#find(id);
      bigger.#ids.set(id, place * 32);
      bigger.#lengths[place] = this.#lengths[at] ?? 0;
      bigger.#flags[place] = flags;
    }
    this.#capacity = bigger.#capacity;
    this.#ids = bigger.#ids;
    this.#lengths = bigger.#lengths;
    this.#flags = bigger.#flags;
  }
}
