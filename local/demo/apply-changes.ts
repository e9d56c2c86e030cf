/** Writes to a page blob what differs between two images, as the machine that owns the disk would have written it. */
import { open } from "node:fs/promises";
import type { PageBlobClient } from "@azure/storage-blob";

const blockBytes = 64 * 1024;

/** Returns the bytes written. Both images have the blob's size without its footer. */
export async function applyChanges(
  before: string,
  after: string,
  sizeBytes: number,
  blob: PageBlobClient,
): Promise<number> {
  const [old, now] = await Promise.all([open(before), open(after)]);
  const [a, b] = [Buffer.alloc(blockBytes), Buffer.alloc(blockBytes)];
  let written = 0;
  for (let offset = 0; offset < sizeBytes; offset += blockBytes) {
    const length = Math.min(blockBytes, sizeBytes - offset);
    await Promise.all([old.read(a, 0, length, offset), now.read(b, 0, length, offset)]);
    if (a.subarray(0, length).equals(b.subarray(0, length))) continue;
    await blob.uploadPages(b.subarray(0, length), offset, length);
    written += length;
  }
  await Promise.all([old.close(), now.close()]);
  return written;
}
