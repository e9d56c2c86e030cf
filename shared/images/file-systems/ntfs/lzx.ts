/**
 * LZX as WIM files and system compression have it: chunks of 32 KiB that stand alone. Blocks have codes of their own, written as what
 * differs from those of the block before; a match may take one of the last three distances again. Calls in machine code (E8) were made
 * absolute, and are made relative again. Source: [MS-PATCH] 2 and "LZX" of Microsoft's cabinet SDK; the block sizes are those of WIM.
 */
import { ByteView } from "../../byte-view.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { BitSource, PrefixCode } from "./prefix-code.ts";
import { decodeSymbol, prefixCode } from "./prefix-code.ts";

export const lzxChunkBytes = 32_768;

/** A window of 32 KiB has 30 slots of distances; each has 8 symbols, for 7 lengths and those that the second code says. */
const distanceSlots = 30;
const mainSymbols = 256 + 8 * distanceSlots;
const lengthSymbols = 249;
const longestCode = 16;
const shortestMatch = 2;
/** The size that all encoders of WIM take for the translated file. */
const translatedSize = 12_000_000;

interface State {
  readonly output: Uint8Array;
  readonly bits: BitReader;
  readonly where: string;
  readonly mainLengths: Uint8Array;
  readonly lengthLengths: Uint8Array;
  /** The last three distances, the newest first. */
  recent: readonly [number, number, number];
  filled: number;
}

/** Exactly `sizeBytes` of output, at most 32 KiB. Throws `image-corrupt` naming `where`. */
export function decompressLzx(input: Uint8Array, sizeBytes: number, where: string): Uint8Array {
  const state: State = {
    output: new Uint8Array(sizeBytes),
    bits: new BitReader(input, where),
    where,
    mainLengths: new Uint8Array(mainSymbols),
    lengthLengths: new Uint8Array(lengthSymbols),
    recent: [1, 1, 1],
    filled: 0,
  };
  while (state.filled < sizeBytes) readBlock(state);
  return relativeCalls(state.output);
}

function readBlock(state: State): void {
  const { bits, output, where } = state;
  const kind = bits.take(3);
  const length = bits.take(1) === 1 ? lzxChunkBytes : bits.take(16);
  if (length === 0 || state.filled + length > output.length) throw imageCorrupt(where, `a block of ${length} bytes`);
  const end = state.filled + length;
  if (kind === 3) readPlainBlock(state, length);
  else if (kind === 1 || kind === 2) readCodedBlock(state, end, kind === 2);
  else throw imageCorrupt(where, `a block of kind ${kind}`);
}

function readPlainBlock(state: State, length: number): void {
  const { bits, output } = state;
  bits.align();
  const head = new ByteView(bits.bytes(12), state.where);
  state.recent = [head.u32le(0), head.u32le(4), head.u32le(8)];
  output.set(bits.bytes(length), state.filled);
  state.filled += length;
  // The bits go on at a whole word.
  if (length % 2 === 1) bits.bytes(1);
}

function readCodedBlock(state: State, end: number, aligned: boolean): void {
  const { bits, output, where, mainLengths, lengthLengths } = state;
  const low = aligned
    ? prefixCode(
        Uint8Array.from({ length: 8 }, () => bits.take(3)),
        7,
        where,
      )
    : undefined;
  readLengths(bits, mainLengths.subarray(0, 256), where);
  readLengths(bits, mainLengths.subarray(256), where);
  const main = prefixCode(mainLengths, longestCode, where);
  readLengths(bits, lengthLengths, where);
  const long = prefixCode(lengthLengths, longestCode, where);
  while (state.filled < end) {
    const symbol = decodeSymbol(main, bits, where);
    if (symbol < 256) {
      output[state.filled++] = symbol;
      continue;
    }
    const short = (symbol - 256) & 7;
    const length = (short === 7 ? 7 + decodeSymbol(long, bits, where) : short) + shortestMatch;
    const distance = readDistance(state, (symbol - 256) >> 3, low);
    if (distance < 1 || distance > state.filled || state.filled + length > end) {
      throw imageCorrupt(where, `a match of ${length} bytes, ${distance} back, at byte ${state.filled}`);
    }
    for (const until = state.filled + length; state.filled < until; state.filled++) {
      output[state.filled] = output[state.filled - distance] ?? 0;
    }
  }
}

function readDistance(state: State, slot: number, low: PrefixCode | undefined): number {
  const [newest, second, third] = state.recent;
  if (slot === 0) return newest;
  if (slot === 1) {
    state.recent = [second, newest, third];
    return second;
  }
  if (slot === 2) {
    state.recent = [third, second, newest];
    return third;
  }
  // Two slots for each number of further bits, from slot 4 on: 4 and 6, 8 and 12, 16 and 24, …
  const extra = slot < 4 ? 0 : (slot >> 1) - 1;
  const base = slot < 4 ? slot : (2 + (slot & 1)) << extra;
  const further =
    low !== undefined && extra >= 3
      ? (state.bits.take(extra - 3) << 3) + decodeSymbol(low, state.bits, state.where)
      : state.bits.take(extra);
  const distance = base + further - 2;
  state.recent = [distance, newest, second];
  return distance;
}

/** Lengths of codes, as differences (modulo 17) to those that stand in `lengths` from the block before. */
function readLengths(bits: BitReader, lengths: Uint8Array, where: string): void {
  const code = prefixCode(
    Uint8Array.from({ length: 20 }, () => bits.take(4)),
    15,
    where,
  );
  const changed = (at: number, symbol: number): number => ((lengths[at] ?? 0) - symbol + 17) % 17;
  for (let at = 0; at < lengths.length;) {
    const symbol = decodeSymbol(code, bits, where);
    if (symbol < 17) {
      lengths[at] = changed(at, symbol);
      at += 1;
      continue;
    }
    const count = symbol === 17 ? 4 + bits.take(4) : symbol === 18 ? 20 + bits.take(5) : 4 + bits.take(1);
    const repeated = symbol === 19 ? decodeSymbol(code, bits, where) : undefined;
    if (repeated !== undefined && repeated > 17) throw imageCorrupt(where, `a repeated code length ${repeated}`);
    lengths.fill(repeated === undefined ? 0 : changed(at, repeated), at, at + count);
    at += count;
  }
}

/** The last 10 bytes were never translated. */
function relativeCalls(output: Uint8Array): Uint8Array {
  const view = new DataView(output.buffer, output.byteOffset, output.byteLength);
  for (let at = 0; at < output.length - 10; at++) {
    if (output[at] !== 0xe8) continue;
    const target = view.getInt32(at + 1, true);
    if (target >= 0 && target < translatedSize) view.setInt32(at + 1, target - at, true);
    else if (target < 0 && target >= -at) view.setInt32(at + 1, target + translatedSize, true);
    at += 4;
  }
  return output;
}

/** Bits from the top of words of 16, each read when it is needed. */
class BitReader implements BitSource {
  readonly #input: Uint8Array;
  readonly #where: string;
  #at = 0;
  /** The lowest `#count` are the next ones. */
  #bits = 0;
  #count = 0;

  constructor(input: Uint8Array, where: string) {
    this.#input = input;
    this.#where = where;
  }

  /** At most 16. */
  peek(count: number): number {
    if (this.#count < count) {
      // Two bytes beyond the end may be looked at, as no code needs them; more would be a stream that ended.
      if (this.#at > this.#input.length + 2) throw imageCorrupt(this.#where, "its bits end early");
      this.#bits = (this.#bits << 16) | (this.#input[this.#at] ?? 0) | ((this.#input[this.#at + 1] ?? 0) << 8);
      this.#at += 2;
      this.#count += 16;
    }
    return (this.#bits >>> (this.#count - count)) & ((1 << count) - 1);
  }

  skip(count: number): void {
    this.#count -= count;
  }

  take(count: number): number {
    const value = this.peek(count);
    this.skip(count);
    return value;
  }

  /** To the next word: 1 to 16 bits are left out. */
  align(): void {
    if (this.#count >= 16) {
      this.#at -= 2;
      this.#count -= 16;
    }
    if (this.#count === 0) this.#at += 2;
    this.#count = 0;
  }

  /** Where a word begins, and again after it. */
  bytes(count: number): Uint8Array {
    if (this.#at + count > this.#input.length) throw imageCorrupt(this.#where, "its bytes end early");
    this.#at += count;
    return this.#input.subarray(this.#at - count, this.#at);
  }
}
