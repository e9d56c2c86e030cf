/** Put Page on a write SAS of a managed disk. An empty disk reads zeros: they are not sent. */
import { AnonymousCredential, PageBlobClient } from "@azure/storage-blob";
import { toWholePages, withoutOuterZeros } from "../../page-content.ts";
import { storageCall } from "../../storage-call.ts";
import { defaultTryTimeoutMs, withTryTimeout } from "../../storage-clients.ts";

/** The most that one Put Page may hold. */
const longestWriteBytes = 4 * 1024 * 1024;

/** `what` names the disk in messages; no error shows the SAS. */
export async function writePages(
  sas: string,
  offset: number,
  content: Uint8Array,
  what: string,
  signal: AbortSignal,
): Promise<void> {
  const client = withTryTimeout(
    defaultTryTimeoutMs,
    (options) => new PageBlobClient(sas, new AnonymousCredential(), options),
  );
  for (let at = 0; at < content.length; at += longestWriteBytes) {
    const part = withoutOuterZeros(content.subarray(at, at + longestWriteBytes));
    if (part === undefined) continue;
    const pages = toWholePages(part.content);
    await storageCall(`write ${what}`, signal, (abortSignal) =>
      client.uploadPages(pages, offset + at + part.skipped, pages.length, { abortSignal }),
    );
  }
}
