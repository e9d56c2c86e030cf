/** A device with some of its blocks replaced by bytes in memory: a journal replayed without writing to the image. */
import { createHash } from "node:crypto";
import type { BlockDevice } from "../ports/block-device.ts";
import type { MappedPiece } from "./mapped-device.ts";
import { mappedDevice } from "./mapped-device.ts";

/**
 * `blocks` maps block numbers (of `blockBytes` each, from the device's start) to their new content, exactly one block each. The map
 * belongs to the device from then on.
 */
export function overlayDevice(
  where: string,
  base: BlockDevice,
  blockBytes: number,
  blocks: ReadonlyMap<number, Uint8Array>,
): BlockDevice {
  if (blocks.size === 0) return base;
  const numbers = [...blocks.keys()].toSorted((one, other) => one - other);
  return mappedDevice(where, base.sizeBytes, function* (offset, length): Generator<MappedPiece> {
    const end = offset + length;
    let at = offset;
    for (let next = firstAtOrAfter(numbers, Math.floor(offset / blockBytes)); at < end; next++) {
      const number = numbers[next];
      const start = number === undefined ? end : Math.min(end, Math.max(at, number * blockBytes));
      if (start > at) yield { device: base, offset: at, length: start - at };
      at = start;
      if (number === undefined || at >= end) return;
      const until = Math.min(end, (number + 1) * blockBytes);
      const block = memoryDevice(blocks.get(number) ?? new Uint8Array(blockBytes));
      yield { device: block, offset: at - number * blockBytes, length: until - at };
      at = until;
    }
  });
}

/** Bytes in memory as a device. Content names are SHA-256, so that the same bytes have the same name in every restore point. */
export function memoryDevice(bytes: Uint8Array): BlockDevice {
  return {
    sizeBytes: bytes.length,
    read: async (offset, length) => bytes.subarray(offset, offset + length),
    async *extents(offset, length) {
      if (length > 0) yield { kind: "data", offset, length };
    },
    async *contentNames(offset, length) {
      if (length === 0) return;
      const hash = createHash("sha256").update(bytes.subarray(offset, offset + length));
      yield { length, name: `sha256:${hash.digest("hex")}`, at: 0 };
    },
  };
}

/** The index of the first number that is not below `wanted`, by halving. */
function firstAtOrAfter(numbers: readonly number[], wanted: number): number {
  let low = 0;
  let high = numbers.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] ?? 0) < wanted) low = middle + 1;
    else high = middle;
  }
  return low;
}
