/** Get Page Ranges and Get Page Ranges (diff), page by page. The SDK's other calls for it give lengths one byte short, and no pages. */
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { ByteWindow, ListedRange } from "./page-ranges.ts";
import { isAnswer, storageCall } from "./storage-call.ts";

/** The service's answers where there is nothing to compare with. */
const noComparison = ["BlobOverwritten", "PreviousSnapshotNotFound", "PreviousSnapshotCannotBeNewer"];

/** All ranges of the window; with `parent`, those that changed since that snapshot. */
export async function listRanges(
  client: PageBlobClient,
  { fromByte, toByte }: ByteWindow,
  parent: string | undefined,
  what: string,
  signal: AbortSignal,
): Promise<readonly ListedRange[]> {
  const ranges: ListedRange[] = [];
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
    for (const { start, end } of page?.pageRange ?? []) ranges.push({ start, end, isClear: false });
    if (page !== undefined && "clearRange" in page) {
      for (const { start, end } of page.clearRange ?? []) ranges.push({ start, end, isClear: true });
    }
    continuation = page?.continuationToken || undefined;
  } while (continuation !== undefined);
  return ranges;
}
