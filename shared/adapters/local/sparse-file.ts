/** Writes to files that stay sparse: stretches of zeros are passed over. */
import type { FileHandle } from "node:fs/promises";

const zeroStepBytes = 64 * 1024;
const zeros = Buffer.alloc(zeroStepBytes);

/** Neighbouring steps that hold data in one stretch, so that it takes one write. */
export function* dataStretches(content: Uint8Array): Generator<{ readonly from: number; readonly to: number }> {
  let from: number | undefined;
  for (let at = 0; at < content.length; at += zeroStepBytes) {
    const part = content.subarray(at, at + zeroStepBytes);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) from ??= at;
    else if (from !== undefined) {
      yield { from, to: at };
      from = undefined;
    }
  }
  if (from !== undefined) yield { from, to: content.length };
}

export async function writeAll(handle: FileHandle, content: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < content.length;) {
    const { bytesWritten } = await handle.write(content, done, content.length - done, position + done);
    done += bytesWritten;
  }
}
