/**
 * A device laid over stretches of other devices: a partition, a linear or striped array, a logical volume. Reading, extents and
 * content names all follow from the one map.
 */
import type { BlockDevice, ContentName, DeviceExtent } from "../ports/block-device.ts";
import { maxReadBytes } from "../ports/block-device.ts";
import { FarsideError } from "../core/errors.ts";
import { imageCorrupt } from "./image-errors.ts";

/** `length` bytes of `device` from `offset`; without a device they read as zeros. */
export interface MappedPiece {
  readonly device: BlockDevice | undefined;
  readonly offset: number;
  readonly length: number;
}

/**
 * `map` cuts a range within the device into pieces, in order, without gaps, none empty. It is a generator, so that a range of
 * terabytes in stripes of kilobytes costs no memory. `where` names the device in errors.
 */
export function mappedDevice(
  where: string,
  sizeBytes: number,
  map: (offset: number, length: number) => Iterable<MappedPiece>,
): BlockDevice {
  const pieces = (offset: number, length: number): Iterable<MappedPiece> => {
    refuseOutside(where, sizeBytes, offset, length);
    return map(offset, length);
  };
  return {
    sizeBytes,
    async read(offset, length, signal) {
      refuseLong(length);
      const parts = await Promise.all([...pieces(offset, length)].map((piece) => readPiece(piece, signal)));
      const [first] = parts;
      return parts.length === 1 && first !== undefined ? first : joined(parts, length);
    },
    async *extents(offset, length, signal) {
      let at = offset;
      for (const piece of pieces(offset, length)) {
        yield* pieceExtents(piece, at, signal);
        at += piece.length;
      }
    },
    async *contentNames(offset, length, signal) {
      for (const piece of pieces(offset, length)) yield* pieceNames(piece, signal);
    },
  };
}

/** `length` bytes of `device` from `offset`, as a device of its own. Throws `image-corrupt` where that is not within it. */
export function sliceDevice(where: string, device: BlockDevice, offset: number, length: number): BlockDevice {
  refuseOutside(where, device.sizeBytes, offset, length);
  return mappedDevice(where, length, (at, count) =>
    count === 0 ? [] : [{ device, offset: offset + at, length: count }],
  );
}

/** Throws `image-corrupt` for a range that is not within a device of `sizeBytes`: what points there is damaged. */
export function refuseOutside(where: string, sizeBytes: number, offset: number, length: number): void {
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length);
  if (whole && offset >= 0 && length >= 0 && offset + length <= sizeBytes) return;
  throw imageCorrupt(where, `bytes ${offset} to ${offset + length - 1} are not within its ${sizeBytes} bytes`);
}

export function refuseLong(length: number): void {
  if (length <= maxReadBytes) return;
  throw new FarsideError(
    "internal",
    `A read of ${length} bytes is longer than ${maxReadBytes}: it must be cut by its caller.`,
  );
}

/** A plain array, no Buffer: `slice` of a Buffer shares its memory, and who means to copy would change a cache. */
function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const whole = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

async function readPiece(piece: MappedPiece, signal: AbortSignal): Promise<Uint8Array> {
  return piece.device === undefined
    ? new Uint8Array(piece.length)
    : piece.device.read(piece.offset, piece.length, signal);
}

/** The piece lies at `at` of the mapped device. */
async function* pieceExtents(piece: MappedPiece, at: number, signal: AbortSignal): AsyncGenerator<DeviceExtent> {
  if (piece.device === undefined) {
    yield { kind: "zero", offset: at, length: piece.length };
    return;
  }
  for await (const extent of piece.device.extents(piece.offset, piece.length, signal)) {
    yield { ...extent, offset: at + extent.offset - piece.offset };
  }
}

async function* pieceNames(piece: MappedPiece, signal: AbortSignal): AsyncGenerator<ContentName> {
  if (piece.device === undefined) yield { length: piece.length, name: "zero", at: 0 };
  else yield* piece.device.contentNames(piece.offset, piece.length, signal);
}
