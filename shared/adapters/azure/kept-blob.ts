/**
 * What stood at a restore's target, kept as a snapshot of the blob that takes its place (ports/run-target.ts says what must hold).
 *
 * 1. The snapshot carries the blob's own metadata, the run that keeps it, and the blob's ETag: whoever finds that ETag on the blob knows
 *    that nothing has taken its place.
 * 2. The new blob names the snapshot that it took the place of. It was made only if the blob was still the one that was kept (ETag).
 * 3. Putting back is a copy on the server, which is done before anything is dropped. (The emulator lets a copy and its source share
 *    pages: harmless here, since the source is dropped and never read again.)
 */
import type { BlobGetPropertiesResponse, PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { BlobPlace, StorageAccounts } from "./storage-accounts.ts";
import { isAnswer, storageCall } from "./storage-call.ts";
import { listSnapshotsOf } from "./list-snapshots.ts";

const keeper = "farsidekeptby";
const keptEtag = "farsidekeptetag";

/** How a person finds a snapshot. */
export const snapshotUrl = (url: string, snapshot: string): string => `${url}?snapshot=${snapshot}`;

/** Snapshots the blob as it stands, if it still has this ETag; undefined where it has not. */
export async function keepBlob(
  client: PageBlobClient,
  url: string,
  runId: RunId,
  standing: { readonly etag: string; readonly metadata: Readonly<Record<string, string>> },
  signal: AbortSignal,
): Promise<string | undefined> {
  const metadata = { ...standing.metadata, [keeper]: runId, [keptEtag]: bare(standing.etag) };
  return storageCall(`keep the page blob ${url}`, signal, async (abortSignal) => {
    try {
      const conditions = { ifMatch: standing.etag };
      return (await client.createSnapshot({ metadata, conditions, abortSignal })).snapshot;
    } catch (error) {
      if (isAnswer(error, "ConditionNotMet", "BlobNotFound", "ContainerNotFound")) return undefined;
      throw error;
    }
  });
}

/** Copies the snapshot over the blob, if that still has this ETag. Throws `not-found` where the snapshot is gone. */
export async function putBack(
  client: PageBlobClient,
  url: string,
  snapshot: string,
  etag: string,
  signal: AbortSignal,
): Promise<void> {
  const source = client.withSnapshot(snapshot);
  await storageCall(`put back ${snapshotUrl(url, snapshot)}`, signal, async (abortSignal) => {
    try {
      // With the snapshot's own metadata, by which the next look knows that it stands in its place.
      const poller = await client.beginCopyFromURL(source.url, { conditions: { ifMatch: etag }, abortSignal });
      poller.stopPolling();
    } catch (error) {
      if (!isAnswer(error, "CannotVerifyCopySource", "BlobNotFound")) throw error;
      throw new FarsideError(
        "not-found",
        `What stood at ${url} cannot be put back: its snapshot ${snapshotUrl(url, snapshot)} is gone.`,
        { details: { url } },
      );
    }
  });
}

/**
 * Drops what the run keeps of this blob, where that is in its place or not needed any more (`anyway`: the run has succeeded). Throws
 * `unavailable` while it is still being put back, and `not-found`, with its place, where something else stands there.
 */
export async function dropKept(
  accounts: StorageAccounts,
  place: BlobPlace,
  runId: RunId,
  anyway: boolean,
  signal: AbortSignal,
): Promise<void> {
  const url = accounts.urlOf(place);
  const client = accounts.pageBlob(place);
  const snapshots = await listSnapshotsOf(accounts, place, signal);
  const kept = snapshots.filter(({ metadata }) => metadata[keeper] === runId);
  const standing = await propertiesOf(client, url, signal);
  const isPutBack = standing?.metadata?.[keeper] === runId;
  if (isPutBack && standing.copyStatus === "pending") {
    throw new FarsideError("unavailable", `${url} is still being put back: it is looked at again later.`);
  }
  const failed = isPutBack && standing.copyStatus !== undefined && standing.copyStatus !== "success";
  for (const { snapshot, metadata } of kept) {
    const untouched = metadata[keptEtag] === bare(standing?.etag ?? "");
    if (!anyway && !untouched && (!isPutBack || failed)) throw keptElsewhere(url, snapshot);
    await storageCall(`remove the snapshot ${snapshot} of ${url}`, signal, async (abortSignal) => {
      try {
        await client.withSnapshot(snapshot).delete({ abortSignal });
      } catch (error) {
        if (!isAnswer(error, "BlobNotFound", "ContainerNotFound")) throw error;
      }
    });
  }
  if (!isPutBack || failed) return;
  const { [keeper]: _, [keptEtag]: __, ...metadata } = standing.metadata ?? {};
  const conditions = standing.etag === undefined ? {} : { ifMatch: standing.etag };
  await storageCall(`put back the metadata of ${url}`, signal, async (abortSignal) => {
    try {
      await client.setMetadata(metadata, { conditions, abortSignal });
    } catch (error) {
      // Somebody has changed it since: it is theirs.
      if (!isAnswer(error, "ConditionNotMet", "BlobNotFound")) throw error;
    }
  });
}

function keptElsewhere(url: string, snapshot: string): FarsideError {
  return new FarsideError(
    "not-found",
    `Something else stands at ${url} by now; what stood there before the restore is kept in ${snapshotUrl(url, snapshot)}.`,
    { details: { url, kept: snapshotUrl(url, snapshot) } },
  );
}

/** Undefined where the service says that nothing stands there. */
export async function propertiesOf(
  client: PageBlobClient,
  url: string,
  signal: AbortSignal,
): Promise<BlobGetPropertiesResponse | undefined> {
  return storageCall(`look at the page blob ${url}`, signal, async (abortSignal) => {
    try {
      return await client.getProperties({ abortSignal });
    } catch (error) {
      if (isAnswer(error, "BlobNotFound", "ContainerNotFound")) return undefined;
      throw error;
    }
  });
}

/** Metadata takes no quotes at its ends in every client: the ETag goes without. */
const bare = (etag: string): string => etag.replaceAll('"', "");
