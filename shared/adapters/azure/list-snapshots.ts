import type { BlobPlace, StorageAccounts } from "./storage-accounts.ts";
import { isAnswer, storageCall } from "./storage-call.ts";

export interface ListedSnapshot {
  readonly snapshot: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** All snapshots of one blob, oldest first; none where the blob or its container is gone. */
export async function listSnapshotsOf(
  accounts: StorageAccounts,
  place: BlobPlace,
  signal: AbortSignal,
): Promise<readonly ListedSnapshot[]> {
  const container = accounts.containerClient(place.account, place.container);
  const found: ListedSnapshot[] = [];
  let continuation: string | undefined;
  do {
    const what = `list the snapshots of the page blob ${accounts.urlOf(place)}`;
    const page = await storageCall(what, signal, async (abortSignal) => {
      const options = { prefix: place.blob, includeSnapshots: true, includeMetadata: true, abortSignal };
      const settings = continuation === undefined ? {} : { continuationToken: continuation };
      try {
        const first = await container.listBlobsFlat(options).byPage(settings).next();
        return first.done === true ? undefined : first.value;
      } catch (error) {
        if (isAnswer(error, "ContainerNotFound")) return undefined;
        throw error;
      }
    });
    for (const { name, snapshot, metadata } of page?.segment.blobItems ?? []) {
      if (name !== place.blob || snapshot === undefined || snapshot === "") continue;
      found.push({ snapshot, metadata: metadata ?? {} });
    }
    continuation = page?.continuationToken || undefined;
  } while (continuation !== undefined);
  return found.sort((a, b) => (a.snapshot < b.snapshot ? -1 : 1));
}
