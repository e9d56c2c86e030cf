/** Whether two files hold the same bytes, all of them. */
import { open } from "node:fs/promises";

const blockBytes = 4 * 1024 * 1024;

/** `head`: stands for the first bytes of the second file. */
export async function sameBytes(first: string, second: string, head?: Buffer): Promise<boolean> {
  const [one, other] = await Promise.all([open(first), open(second)]);
  try {
    const { size } = await one.stat();
    if (size !== (await other.stat()).size) return false;
    const [a, b] = [Buffer.alloc(blockBytes), Buffer.alloc(blockBytes)];
    for (let offset = 0; offset < size; offset += blockBytes) {
      const length = Math.min(blockBytes, size - offset);
      await Promise.all([one.read(a, 0, length, offset), other.read(b, 0, length, offset)]);
      if (offset === 0) head?.copy(b);
      if (!a.subarray(0, length).equals(b.subarray(0, length))) return false;
    }
    return true;
  } finally {
    await Promise.all([one.close(), other.close()]);
  }
}
