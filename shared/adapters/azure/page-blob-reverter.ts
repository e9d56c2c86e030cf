/**
 * Page blobs that are written in place (the port says what a reverter must do).
 *
 * 1. A disk is held by a lease without an end, whose id is derived from run and disk: every delivery of the run has it, nobody else. A
 *    machine that uses a page blob as its disk holds a lease too.
 * 2. Safety snapshots carry their run and disk under names of their own, so that nobody takes them for a backup's.
 */
import { createHash } from "node:crypto";
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { SafetySnapshot } from "../../core/run.ts";
import type { DiskReverter, HeldDisk } from "../../ports/disk-reverter.ts";
import { snapshotUrl } from "./kept-blob.ts";
import { listSnapshotsOf } from "./list-snapshots.ts";
import { pageBlobFacts } from "./page-blob-facts.ts";
import type { BlobPlace, StorageAccounts } from "./storage-accounts.ts";
import { isAnswer, storageCall } from "./storage-call.ts";

/** The most that one Put Page may hold. */
const longestWriteBytes = 4 * 1024 * 1024;
const endless = -1;
/** What the service answers where the lease is somebody else's, or nobody's any more. */
const notHeld = [
  "LeaseIdMissing",
  "LeaseIdMismatchWithBlobOperation",
  "LeaseIdMismatchWithLeaseOperation",
  "LeaseNotPresentWithBlobOperation",
  "LeaseNotPresentWithLeaseOperation",
  "LeaseAlreadyPresent",
  "LeaseLost",
  "LeaseIsBrokenAndCannotBeRenewed",
] as const;

export class PageBlobReverter implements DiskReverter {
  readonly #accounts: StorageAccounts;

  constructor(accounts: StorageAccounts) {
    this.#accounts = accounts;
  }

  async isInUse(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<boolean> {
    const { client } = this.#open(disk);
    const { leaseState } = await pageBlobFacts(client, `the page blob ${disk.url}`, signal);
    if (leaseState === undefined || leaseState === "available" || leaseState === "expired" || leaseState === "broken") {
      return false;
    }
    // Renewing works for our own lease only, and changes nothing for anybody else's.
    return storageCall(`look at the lease of ${disk.url}`, signal, async (abortSignal) => {
      try {
        await client.getBlobLeaseClient(leaseIdOf(disk, runId)).renewLease({ abortSignal });
        return false;
      } catch (error) {
        if (isAnswer(error, ...notHeld)) return true;
        throw error;
      }
    });
  }

  async hold(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    const { client } = this.#open(disk);
    await storageCall(`lease the page blob ${disk.url}`, signal, async (abortSignal) => {
      try {
        await client.getBlobLeaseClient(leaseIdOf(disk, runId)).acquireLease(endless, { abortSignal });
      } catch (error) {
        throw isAnswer(error, ...notHeld) ? lost(disk, error) : error;
      }
    });
  }

  async keep(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<SafetySnapshot> {
    const { client, place } = this.#open(disk);
    const before = await this.#first(place, runId, signal);
    if (before !== undefined) return this.#describe(disk, place, before);
    const metadata = { farsidesafety: runId, farsidedisk: disk.name };
    await storageCall(`snapshot the page blob ${disk.url}`, signal, (abortSignal) =>
      client.createSnapshot({ metadata, abortSignal }),
    );
    // Looked for again: another delivery, or an earlier try of this request, may have been faster.
    const made = await this.#first(place, runId, signal);
    if (made !== undefined) return this.#describe(disk, place, made);
    throw new FarsideError("snapshot-failed", `The safety snapshot of ${disk.url} is not there.`);
  }

  async dropKept(disk: HeldDisk, runId: RunId, spared: SafetySnapshot | undefined, signal: AbortSignal): Promise<void> {
    const { client, place } = this.#open(disk);
    for (const { snapshot, metadata } of await listSnapshotsOf(this.#accounts, place, signal)) {
      if (metadata["farsidesafety"] !== runId || snapshot === spared?.reference["snapshot"]) continue;
      await storageCall(`remove the snapshot ${snapshot} of ${disk.url}`, signal, async (abortSignal) => {
        try {
          await client.withSnapshot(snapshot).delete({ abortSignal });
        } catch (error) {
          if (!isAnswer(error, "BlobNotFound", "ContainerNotFound")) throw error;
        }
      });
    }
  }

  async write(disk: HeldDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void> {
    checkFits(disk, offset, content.length);
    for (let at = 0; at < content.length; at += longestWriteBytes) {
      const part = content.subarray(at, at + longestWriteBytes);
      await this.#change("write to", disk, runId, signal, (client, options) =>
        client.uploadPages(part, offset + at, part.length, options),
      );
    }
  }

  async clear(disk: HeldDisk, runId: RunId, offset: number, length: number, signal: AbortSignal): Promise<void> {
    checkFits(disk, offset, length);
    await this.#change("clear a part of", disk, runId, signal, (client, options) =>
      client.clearPages(offset, length, options),
    );
  }

  async letGo(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    const { client } = this.#open(disk);
    await storageCall(`end the lease of ${disk.url}`, signal, async (abortSignal) => {
      try {
        await client.getBlobLeaseClient(leaseIdOf(disk, runId)).releaseLease({ abortSignal });
      } catch (error) {
        if (!isAnswer(error, ...notHeld, "BlobNotFound", "ContainerNotFound")) throw error;
      }
    });
  }

  async #change(
    verb: string,
    disk: HeldDisk,
    runId: RunId,
    signal: AbortSignal,
    call: (
      client: PageBlobClient,
      options: { readonly conditions: { readonly leaseId: string }; readonly abortSignal: AbortSignal },
    ) => Promise<unknown>,
  ): Promise<void> {
    const { client } = this.#open(disk);
    await storageCall(`${verb} the page blob ${disk.url}`, signal, async (abortSignal) => {
      try {
        await call(client, { conditions: { leaseId: leaseIdOf(disk, runId) }, abortSignal });
      } catch (error) {
        throw isAnswer(error, ...notHeld) ? lost(disk, error) : error;
      }
    });
  }

  /** The run's oldest safety snapshot: the one from before its first write. */
  async #first(place: BlobPlace, runId: RunId, signal: AbortSignal): Promise<string | undefined> {
    const snapshots = await listSnapshotsOf(this.#accounts, place, signal);
    return snapshots.find(({ metadata }) => metadata["farsidesafety"] === runId)?.snapshot;
  }

  #describe(disk: HeldDisk, place: BlobPlace, snapshot: string): SafetySnapshot {
    const url = snapshotUrl(this.#accounts.urlOf(place), snapshot);
    const { hostname, origin } = new URL(url);
    const isAzure = hostname === `${place.account}.blob.core.windows.net`;
    const account = isAzure
      ? `--account-name ${place.account} --auth-mode login`
      : `--blob-endpoint ${origin}/${place.account}`;
    const destination = `--destination-container ${inShell(place.container)} --destination-blob ${shellQuoted(place.blob)}`;
    return {
      disk: disk.name,
      snapshot: url,
      reference: { ...place, snapshot },
      wayBack: `az storage blob copy start ${account} ${destination} --source-uri ${shellQuoted(url)}`,
    };
  }

  #open(disk: HeldDisk): { readonly client: PageBlobClient; readonly place: BlobPlace } {
    const place = this.#accounts.place(disk.url);
    return { client: this.#accounts.pageBlob(place), place };
  }
}

/** A container may be called `$root`. */
const inShell = (text: string): string => (/^[a-z0-9-]+$/.test(text) ? text : shellQuoted(text));
const shellQuoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;

/** A GUID, as leases want it. */
function leaseIdOf(disk: HeldDisk, runId: RunId): string {
  const hex = createHash("sha256").update(`${runId}/${disk.name}`).digest("hex");
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)].join("-");
}

function lost(disk: HeldDisk, cause: unknown): FarsideError {
  return new FarsideError(
    "refused",
    `${disk.url} is not held by this run (any more), and so not written to: a machine or somebody else uses it.`,
    { cause, details: { url: disk.url } },
  );
}

function checkFits(disk: HeldDisk, offset: number, length: number): void {
  if (offset % 512 === 0 && length % 512 === 0 && offset + length <= disk.sizeBytes) return;
  throw new RangeError(`A write of ${length} bytes at ${offset} does not fit a disk of ${disk.sizeBytes}.`);
}
