/**
 * LZ77 with Huffman codes ("XPRESS"), the compression of WOF: [MS-XCA] 2.2. One block: 256 bytes with the lengths of 512 codes, four bits
 * each, then a stream of bits in words of 16, among which stand the bytes of long matches. Symbols up to 255 are literals, the others a
 * match: four bits of length, four bits that say how many bits of distance follow.
 */
import { imageCorrupt } from "../../image-errors.ts";
import type { BitSource, PrefixCode } from "./prefix-code.ts";
import { decodeSymbol, prefixCode } from "./prefix-code.ts";

const symbolCount = 512;
const lengthBytes = symbolCount / 2;
const longestCode = 15;

/** Exactly `sizeBytes` of output, at most 64 KiB. Throws `image-corrupt` naming `where`. */
export function decompressXpress(input: Uint8Array, sizeBytes: number, where: string): Uint8Array {
  const output = new Uint8Array(sizeBytes);
  const code = readCode(input, where);
  const bits = new BitReader(input, lengthBytes, where);
  for (let filled = 0; filled < sizeBytes;) {
    const symbol = decodeSymbol(code, bits, where);
    if (symbol < 256) {
      output[filled++] = symbol;
      continue;
    }
    const length = matchLength(bits, symbol & 15);
    const distanceBits = (symbol >> 4) & 15;
    const distance = (1 << distanceBits) + bits.peek(distanceBits);
    bits.skip(distanceBits);
    if (distance > filled || filled + length > sizeBytes) {
      throw imageCorrupt(where, `a match of ${length} bytes, ${distance} back, at byte ${filled}`);
    }
    for (const end = filled + length; filled < end; filled++) output[filled] = output[filled - distance] ?? 0;
  }
  return output;
}

function readCode(input: Uint8Array, where: string): PrefixCode {
  if (input.length < lengthBytes) throw imageCorrupt(where, `${input.length} bytes hold no code lengths`);
  const lengths = Uint8Array.from({ length: symbolCount }, (_, symbol) => {
    const pair = input[symbol >> 1] ?? 0;
    return symbol % 2 === 0 ? pair & 15 : pair >> 4;
  });
  return prefixCode(lengths, longestCode, where);
}

/** The four bits are enough up to 14; then a byte follows, and where that is 255 a word with the whole length. */
function matchLength(bits: BitReader, short: number): number {
  if (short < 15) return short + 3;
  const byte = bits.byte();
  if (byte < 255) return byte + 15 + 3;
  return (bits.byte() | (bits.byte() << 8)) + 3;
}

/** Bits from the top of words of 16. One word is read ahead, so that bytes taken in between come after it. */
class BitReader implements BitSource {
  readonly #input: Uint8Array;
  readonly #where: string;
  #at: number;
  /** The next bits, from bit 31 down. */
  #bits: number;
  /** Of them beyond the first 16. */
  #spare = 16;

  constructor(input: Uint8Array, at: number, where: string) {
    this.#input = input;
    this.#where = where;
    this.#at = at;
    this.#bits = (this.#word() << 16) | this.#word();
  }

  /** At most 15. */
  peek(count: number): number {
    return count === 0 ? 0 : this.#bits >>> (32 - count);
  }

  skip(count: number): void {
    this.#bits <<= count;
    this.#spare -= count;
    if (this.#spare >= 0) return;
    this.#bits |= this.#word() << -this.#spare;
    this.#spare += 16;
  }

  byte(): number {
    const byte = this.#input[this.#at];
    if (byte === undefined) throw imageCorrupt(this.#where, "its bits end early");
    this.#at += 1;
    return byte;
  }

  /** Beyond the end zeros: the last words may be needed by no code. */
  #word(): number {
    const word = (this.#input[this.#at] ?? 0) | ((this.#input[this.#at + 1] ?? 0) << 8);
    this.#at += 2;
    return word;
  }
}
