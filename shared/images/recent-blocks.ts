/**
 * The blocks of a device that were read last, for metadata: records and tables of a few bytes that lie near each other. Memory is at
 * most `count` blocks of `blockBytes`.
 */
import type { BlockDevice } from "../ports/block-device.ts";
import { refuseOutside } from "./mapped-device.ts";

export type MetadataReader = Pick<BlockDevice, "sizeBytes" | "read">;

/** `where` names the device in errors. */
export function recentBlocks(where: string, device: BlockDevice, blockBytes: number, count: number): MetadataReader {
  // A Map keeps the order in which keys were set: the first is the one that was not used for the longest time.
  const kept = new Map<number, Uint8Array>();
  const block = async (number: number, signal: AbortSignal): Promise<Uint8Array> => {
    const start = number * blockBytes;
    const found =
      kept.get(number) ?? (await device.read(start, Math.min(blockBytes, device.sizeBytes - start), signal));
    kept.delete(number);
    kept.set(number, found);
    for (const oldest of kept.keys()) {
      if (kept.size <= count) break;
      kept.delete(oldest);
    }
    return found;
  };
  return {
    sizeBytes: device.sizeBytes,
    async read(offset, length, signal) {
      refuseOutside(where, device.sizeBytes, offset, length);
      signal.throwIfAborted();
      const parts: Uint8Array[] = [];
      for (let at = offset; at < offset + length;) {
        const number = Math.floor(at / blockBytes);
        const from = at - number * blockBytes;
        const taken = Math.min(blockBytes - from, offset + length - at);
        const bytes = await block(number, signal);
        parts.push(bytes.subarray(from, from + taken));
        at += taken;
      }
      const [first] = parts;
      return parts.length === 1 && first !== undefined ? first : Buffer.concat(parts, length);
    },
  };
}
