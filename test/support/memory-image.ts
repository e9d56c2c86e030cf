import type { DiskImage } from "../../shared/ports/disk-image.ts";

/** A disk image in memory; its extents are those of a step that is given, as a file's are. */
export function memoryImage(content: Uint8Array, stepBytes = 64 * 1024): DiskImage {
  return {
    sizeBytes: content.length,
    read: (offset, length, signal) => {
      signal.throwIfAborted();
      return Promise.resolve(new Uint8Array(content.subarray(offset, offset + length)));
    },
    extents: (signal) => extentsOf(content, stepBytes, signal),
  };
}

async function* extentsOf(content: Uint8Array, stepBytes: number, signal: AbortSignal) {
  for (let offset = 0; offset < content.length; offset += stepBytes) {
    signal.throwIfAborted();
    const part = content.subarray(offset, offset + stepBytes);
    if (part.some((byte) => byte !== 0)) yield { offset, length: part.length };
    await Promise.resolve();
  }
}
