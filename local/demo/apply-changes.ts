/** Writes to a disk what differs between two images, as the machine that owns the disk would have written it. */
import { open } from "node:fs/promises";

const blockBytes = 64 * 1024;

/** Returns the bytes written. Both images have the disk's size. */
export async function applyChanges(
  before: string,
  after: string,
  sizeBytes: number,
  write: (content: Buffer<ArrayBuffer>, offset: number) => Promise<void>,
): Promise<number> {
  const [old, now] = await Promise.all([open(before), open(after)]);
  const [a, b] = [Buffer.alloc(blockBytes), Buffer.alloc(blockBytes)];
  let written = 0;
  for (let offset = 0; offset < sizeBytes; offset += blockBytes) {
    const length = Math.min(blockBytes, sizeBytes - offset);
    await Promise.all([old.read(a, 0, length, offset), now.read(b, 0, length, offset)]);
    if (a.subarray(0, length).equals(b.subarray(0, length))) continue;
    await write(b.subarray(0, length), offset);
    written += length;
  }
  await Promise.all([old.close(), now.close()]);
  return written;
}
