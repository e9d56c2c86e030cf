/** A raw image file as a block device, which counts what is read of it. */
import { createHash } from "node:crypto";
import type { FileHandle } from "node:fs/promises";
import { open } from "node:fs/promises";
import type { BlockDevice } from "../../../shared/ports/block-device.ts";
import { refuseLong, refuseOutside } from "../../../shared/images/mapped-device.ts";

export interface FileDevice extends BlockDevice {
  /** Since it was opened. */
  readonly counts: { reads: number; bytes: number };
  close(): Promise<void>;
}

export async function openFileDevice(path: string): Promise<FileDevice> {
  const file = await open(path, "r");
  const { size } = await file.stat();
  const counts = { reads: 0, bytes: 0 };
  const read = async (offset: number, length: number): Promise<Uint8Array> => {
    refuseOutside(path, size, offset, length);
    refuseLong(length);
    counts.reads += 1;
    counts.bytes += length;
    return readExactly(file, offset, length);
  };
  return {
    sizeBytes: size,
    counts,
    read,
    async *extents(offset, length) {
      refuseOutside(path, size, offset, length);
      if (length > 0) yield { kind: "data", offset, length };
    },
    async *contentNames(offset, length) {
      for (let at = offset; at < offset + length; at += 1024 * 1024) {
        const count = Math.min(1024 * 1024, offset + length - at);
        const name = createHash("sha256")
          .update(await readExactly(file, at, count))
          .digest("hex");
        yield { length: count, name, at: 0 };
      }
    },
    close: () => file.close(),
  };
}

async function readExactly(file: FileHandle, offset: number, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, offset + filled);
    if (bytesRead === 0) throw new Error(`The image ends ${length - filled} bytes early.`);
    filled += bytesRead;
  }
  return bytes;
}
