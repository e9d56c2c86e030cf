/**
 * A device with the journal's newer blocks in the places that they are meant for. No content is held: each block is read from the
 * journal when it is asked for, so that memory is about 13 bytes a block whatever its size.
 */
import type { BlockDevice } from "../../../../ports/block-device.ts";
import type { MappedPiece } from "../../../mapped-device.ts";
import { mappedDevice } from "../../../mapped-device.ts";
import { memoryDevice } from "../../../overlay-device.ts";
import { journalMagic } from "./journal-superblock.ts";
import type { JournalledBlock } from "./scan-journal.ts";

/** A part of a range: with or without the journal's content over it. */
export interface OverlaidPiece {
  readonly offset: number;
  readonly length: number;
  readonly replaced: boolean;
}

export interface JournalOverlay {
  readonly device: BlockDevice;
  /** Cuts a range of the device, in order, without gaps. */
  readonly pieces: (offset: number, length: number) => Iterable<OverlaidPiece>;
}

interface Piece extends OverlaidPiece {
  /** Among the replaced blocks. */
  readonly index: number;
}

const magicBytes = new Uint8Array(4);
new DataView(magicBytes.buffer).setUint32(0, journalMagic);
const magicDevice = memoryDevice(magicBytes);

export function overlayJournal(
  base: BlockDevice,
  journal: BlockDevice,
  blockBytes: number,
  blocks: ReadonlyMap<number, JournalledBlock>,
): JournalOverlay {
  const numbers = Float64Array.from(blocks.keys()).sort();
  const places = new Uint32Array(numbers.length);
  const escaped = new Uint8Array(numbers.length);
  for (const [index, number] of numbers.entries()) {
    const block = blocks.get(number);
    places[index] = block?.journalBlock ?? 0;
    escaped[index] = block?.escaped === true ? 1 : 0;
  }

  function* pieces(offset: number, length: number): Generator<Piece> {
    const end = offset + length;
    let index = lastAtOrBefore(numbers, Math.floor(offset / blockBytes));
    if (index < 0 || (numbers[index] ?? 0) * blockBytes + blockBytes <= offset) index += 1;
    for (let at = offset; at < end;) {
      const start = (numbers[index] ?? Number.POSITIVE_INFINITY) * blockBytes;
      const replaced = start <= at;
      const until = Math.min(end, replaced ? start + blockBytes : start);
      yield { offset: at, length: until - at, replaced, index };
      if (replaced) index += 1;
      at = until;
    }
  }

  function* journalPieces(piece: Piece): Generator<MappedPiece> {
    const within = piece.offset % blockBytes;
    const offset = (places[piece.index] ?? 0) * blockBytes + within;
    const masked = escaped[piece.index] === 1 ? Math.min(piece.length, Math.max(0, 4 - within)) : 0;
    if (masked > 0) yield { device: magicDevice, offset: within, length: masked };
    if (masked < piece.length) yield { device: journal, offset: offset + masked, length: piece.length - masked };
  }

  function* mapped(offset: number, length: number): Generator<MappedPiece> {
    for (const piece of pieces(offset, length)) {
      if (piece.replaced) yield* journalPieces(piece);
      else yield { device: base, offset: piece.offset, length: piece.length };
    }
  }

  const map = (offset: number, length: number): Iterable<MappedPiece> => joined(mapped(offset, length));
  const device = mappedDevice("ext file system", base.sizeBytes, map);
  return { device, pieces };
}

/** Content that went through the journal (`data=journal`) lies in it in long runs: each is one read, not one for each block. */
function* joined(pieces: Iterable<MappedPiece>): Generator<MappedPiece> {
  let pending: MappedPiece | undefined;
  for (const piece of pieces) {
    if (pending !== undefined && pending.device === piece.device && pending.offset + pending.length === piece.offset) {
      pending = { ...pending, length: pending.length + piece.length };
      continue;
    }
    if (pending !== undefined) yield pending;
    pending = piece;
  }
  if (pending !== undefined) yield pending;
}

/** The index of the last number that is not above `wanted`, by halving; -1 where all are. */
export function lastAtOrBefore(numbers: ArrayLike<number>, wanted: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) <= wanted) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
