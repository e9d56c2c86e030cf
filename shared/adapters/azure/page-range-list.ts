/** Get Page Ranges and Get Page Ranges (diff), page by page. The SDK's other calls for it give lengths one byte short, and no pages. */
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError, hasCode } from "../../core/errors.ts";
import type { ByteRange, ChangedRange } from "../../ports/disk-source.ts";
import { changedFrom, coalesce, joined, type ByteWindow, type ListedRange } from "./page-ranges.ts";
import { isAnswer, storageCall } from "./storage-call.ts";

/** The service's answers where there is nothing to compare with. */
const noComparison = ["BlobOverwritten", "PreviousSnapshotNotFound", "PreviousSnapshotCannotBeNewer"];

/** The ranges of the window, a list for each page of the answer; with `parent`, those that changed since that snapshot. */
export type RangeLister = (window: ByteWindow) => AsyncIterable<readonly ListedRange[]>;

export function rangeLister(
  client: PageBlobClient,
  parent: string | undefined,
  what: string,
  signal: AbortSignal,
): RangeLister {
  return async function* ({ fromByte, toByte }) {
    const length = toByte - fromByte;
    let continuation: string | undefined;
    do {
      const page = await storageCall(`list the pages of ${what}`, signal, async (abortSignal) => {
        const settings = continuation === undefined ? {} : { continuationToken: continuation };
        try {
          const first =
            parent === undefined
              ? await client.listPageRanges(fromByte, length, { abortSignal }).byPage(settings).next()
              : await client.listPageRangesDiff(fromByte, length, parent, { abortSignal }).byPage(settings).next();
          return first.done === true ? undefined : first.value;
        } catch (cause) {
          if (parent === undefined || !isAnswer(cause, ...noComparison)) throw cause;
          throw new FarsideError(
            "not-found",
            `There is nothing to compare ${what} with: the snapshot ${parent} is gone, or the blob was overwritten since.`,
            { cause },
          );
        }
      });
      const ranges: ListedRange[] = (page?.pageRange ?? []).map(({ start, end }) => ({ start, end, isClear: false }));
      if (page !== undefined && "clearRange" in page) {
        for (const { start, end } of page.clearRange ?? []) ranges.push({ start, end, isClear: true });
      }
      yield ranges;
      continuation = page?.continuationToken || undefined;
    } while (continuation !== undefined);
  };
}

/** What is asked for at once after the service did not answer for more. */
const partBytes = 16 * 1024 ** 3;

export interface ListedPart {
  readonly ranges: readonly ListedRange[];
  /** What these ranges speak of. */
  readonly window: ByteWindow;
}

/**
 * Asks for the whole window at once: a number of requests that depends on the ranges alone, not on the size of the blob. Over a large,
 * fragmented blob the service can run out of time; then the rest is asked for in parts of 16 GiB. Memory: one page.
 */
export async function* listInParts(
  list: RangeLister,
  window: ByteWindow,
  part = partBytes,
): AsyncGenerator<ListedPart, void, undefined> {
  let { fromByte } = window;
  let step = window.toByte - fromByte;
  while (fromByte < window.toByte) {
    const toByte = Math.min(fromByte + step, window.toByte);
    try {
      for await (const ranges of list({ fromByte, toByte })) {
        // In order over the pages: what comes after lies behind the last end of this one.
        const seenTo = ranges.reduce((end, range) => Math.max(end, range.end + 1), fromByte);
        yield { ranges, window: { fromByte, toByte } };
        fromByte = Math.min(seenTo, toByte);
      }
      fromByte = toByte;
    } catch (error) {
      if (step <= part || !hasCode(error, "unavailable")) throw error;
      step = part;
    }
  }
}

/** What may hold something other than zeros, as a disk source gives it. */
export async function* allocatedOf(list: RangeLister, window: ByteWindow): AsyncGenerator<ByteRange> {
  yield* joined(listsOf(list, window, coalesce));
}

/** What changed, as a disk source gives it. */
export async function* changedOf(list: RangeLister, window: ByteWindow): AsyncGenerator<ChangedRange> {
  yield* joined(listsOf(list, window, changedFrom));
}

async function* listsOf<T>(
  list: RangeLister,
  window: ByteWindow,
  made: (ranges: readonly ListedRange[], window: ByteWindow) => readonly T[],
): AsyncGenerator<readonly T[]> {
  for await (const part of listInParts(list, window)) yield made(part.ranges, part.window);
}
