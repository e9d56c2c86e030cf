import pLimit from "p-limit";
import { FarsideError } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { DiskImage } from "../../ports/disk-image.ts";
import type { DiskTarget, TargetDisk } from "../../ports/disk-target.ts";

export interface ImportDiskInput {
  readonly image: DiskImage;
  readonly place: TargetDisk;
  /** Of this import alone: the target knows its own unfinished work by it. */
  readonly runId: RunId;
  /** Bytes of the image gone through since the last call. */
  readonly onProgress: (bytes: number) => void;
}

/** The most that a page blob takes in one request. */
const stepBytes = 4 * 1024 * 1024;
const writesAtOnce = 4;

/**
 * Writes a disk image to a target. Holes and zeros are not sent. Throws `target-exists`; where it fails, nothing is left behind.
 */
export async function importDisk(target: DiskTarget, input: ImportDiskInput, signal: AbortSignal): Promise<void> {
  const { place, runId } = input;
  if (await target.isTaken(place, runId, signal)) {
    throw new FarsideError("target-exists", `${place.url} exists already and is not overwritten: give another name.`, {
      details: { target: place.url },
    });
  }
  try {
    await target.prepare(place, runId, signal);
    await copy(target, input, signal);
    await target.finish(place, runId, signal);
  } catch (error) {
    // Also after Ctrl-C: removing has a signal of its own that nobody aborts.
    await target.discard(place, runId, new AbortController().signal).catch(() => undefined);
    throw error;
  }
}

async function copy(target: DiskTarget, input: ImportDiskInput, signal: AbortSignal): Promise<void> {
  const { image, place, runId } = input;
  const stopping = new AbortController();
  const either = AbortSignal.any([signal, stopping.signal]);
  const limit = pLimit(writesAtOnce);
  const writes = new Set<Promise<void>>();
  let reached = 0;
  try {
    for await (const { offset, length } of image.extents(either)) {
      input.onProgress(offset - reached);
      reached = offset;
      for (let at = offset; at < offset + length; at += stepBytes) {
        const content = await image.read(at, Math.min(stepBytes, offset + length - at), either);
        const write = limit(() => target.write(place, runId, at, content, either));
        writes.add(write);
        write.then(() => writes.delete(write)).catch(() => undefined);
        // No more in memory than is being sent.
        if (writes.size >= writesAtOnce) await Promise.race(writes);
        input.onProgress(content.length);
        reached = at + content.length;
      }
    }
    await Promise.all(writes);
    input.onProgress(image.sizeBytes - reached);
  } finally {
    stopping.abort();
    await Promise.allSettled(writes);
  }
}
