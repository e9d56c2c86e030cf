/** Canonical prefix codes, as XPRESS and LZX have them: the lengths of the codes say all; shorter codes come first, then lower symbols. */
import { imageCorrupt } from "../../image-errors.ts";

/** Below it is the length of a code, above it the symbol. */
const lengthSpan = 32;

/** What comes next, by the next `peekBits` bits. */
export interface PrefixCode {
  readonly peekBits: number;
  readonly table: Uint16Array;
}

/** `lengths[symbol]`: bits of its code, 0 where it has none. Throws `image-corrupt` for more codes than there can be. */
export function prefixCode(lengths: Uint8Array, longest: number, where: string): PrefixCode {
  const table = new Uint16Array(1 << longest);
  let at = 0;
  for (let length = 1; length <= longest; length++) {
    const span = 1 << (longest - length);
    for (let symbol = lengths.indexOf(length); symbol !== -1; symbol = lengths.indexOf(length, symbol + 1)) {
      if (at + span > table.length) throw imageCorrupt(where, "its codes are too many");
      table.fill(symbol * lengthSpan + length, at, at + span);
      at += span;
    }
  }
  return { peekBits: longest, table };
}

export interface BitSource {
  /** The next bits, which stay. */
  peek(count: number): number;
  skip(count: number): void;
}

export function decodeSymbol(code: PrefixCode, bits: BitSource, where: string): number {
  const entry = code.table[bits.peek(code.peekBits)] ?? 0;
  if (entry === 0) throw imageCorrupt(where, "a code that stands for nothing");
  bits.skip(entry % lengthSpan);
  return Math.floor(entry / lengthSpan);
}
