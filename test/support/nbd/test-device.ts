/** A device in memory, with holes, that can be made to fail or to wait. */
import type { BlockDevice, DeviceExtent } from "../../../shared/ports/block-device.ts";

export interface TestDevice extends BlockDevice {
  readonly bytes: Buffer;
  readonly reads: (readonly [offset: number, length: number])[];
  /** Called before each read; may throw, may wait. */
  onRead: (offset: number, length: number, signal: AbortSignal) => Promise<void> | void;
}

/**
 * `stretches`: lengths in bytes, positive ones hold data, negative ones zeros. `lies`: the extents run over the range on both sides, as
 * those of a vault's chunks may.
 */
export function testDevice(stretches: readonly number[], lies = false): TestDevice {
  const bytes = Buffer.alloc(stretches.reduce((sum, stretch) => sum + Math.abs(stretch), 0));
  const extents: DeviceExtent[] = [];
  let at = 0;
  for (const stretch of stretches) {
    const length = Math.abs(stretch);
    if (stretch > 0) for (let n = at; n < at + length; n++) bytes[n] = 1 + ((n * 31 + (n >> 9)) % 255);
    extents.push({ kind: stretch > 0 ? "data" : "zero", offset: at, length });
    at += length;
  }
  const device: TestDevice = {
    sizeBytes: bytes.length,
    bytes,
    reads: [],
    onRead: () => undefined,
    async read(offset, length, signal) {
      device.reads.push([offset, length]);
      await device.onRead(offset, length, signal);
      signal.throwIfAborted();
      if (offset < 0 || offset + length > bytes.length) throw new Error(`A read of ${length} at ${offset}.`);
      return bytes.subarray(offset, offset + length);
    },
    async *extents(offset, length) {
      for (const extent of extents) {
        const start = Math.max(offset, extent.offset);
        const end = Math.min(offset + length, extent.offset + extent.length);
        if (start >= end) continue;
        yield lies ? extent : { kind: extent.kind, offset: start, length: end - start };
      }
    },
    async *contentNames(_offset, length) {
      yield { length, name: "test", at: 0 };
    },
  };
  return device;
}
