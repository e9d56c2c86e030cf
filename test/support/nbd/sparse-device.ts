/** A raw image file as a block device that knows its holes: what stands in the map of a vault's disk. */
import type { FileDevice } from "../images/file-device.ts";
import { openFileDevice } from "../images/file-device.ts";

const blockBytes = 1024 * 1024;

/** Reads the file once: blocks of zeros are holes. */
export async function openSparseDevice(path: string): Promise<FileDevice> {
  const device = await openFileDevice(path);
  const signal = new AbortController().signal;
  const holes: boolean[] = [];
  for (let at = 0; at < device.sizeBytes; at += blockBytes) {
    const block = await device.read(at, Math.min(blockBytes, device.sizeBytes - at), signal);
    holes.push(block.every((byte) => byte === 0));
  }
  return {
    ...device,
    async *extents(offset, length) {
      const end = offset + length;
      for (let at = offset; at < end;) {
        const number = Math.floor(at / blockBytes);
        const next = Math.min(end, (number + 1) * blockBytes);
        yield { kind: holes[number] === true ? "zero" : "data", offset: at, length: next - at };
        at = next;
      }
    },
  };
}
