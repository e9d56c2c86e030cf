/**
 * Disks restored as page blobs `<container>/<disk>.vhd` (the port says what a target must do).
 *
 * 1. The blob is made with If-None-Match and carries its run and `farsidestate=restoring`. Its VHD footer, without which nothing
 *    takes it for a disk, comes last; then the state says `complete`.
 * 2. Its sequence number is derived from the run, and every write is conditional on it: a late write of another run, or one
 *    after the end, which sets it to 0, changes nothing. (An ETag could not do that: it changes with every write.)
 * 3. How far an unfinished disk stands is kept where its footer will be: written under the same condition as all else, and no footer.
 * 4. What stands there is replaced only where that was asked for, and kept until the run has ended (kept-blob.ts).
 * 5. It is made anew and written, never copied on the server: the emulator lets a copy and its source share pages.
 */
import { createHash } from "node:crypto";
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import { ulidEpochMs } from "../../core/ulid.ts";
import { buildVhdFooter, vhdFooterBytes } from "../../core/vhd.ts";
import type { ResumableTarget, TargetDisk, TargetStanding } from "../../ports/disk-target.ts";
import type { RunTarget } from "../../ports/run-target.ts";
import { dropKept, keepBlob, propertiesOf, putBack, snapshotUrl } from "./kept-blob.ts";
import { toWholePages, withoutOuterZeros } from "./page-content.ts";
import type { StorageAccounts } from "./storage-accounts.ts";
import { readPages } from "./page-blob-facts.ts";
import { isAnswer, storageCall } from "./storage-call.ts";
import { buildRecord, parseRecord } from "./unfinished-record.ts";

/** The most that one Put Page may hold. */
const longestWriteBytes = 4 * 1024 * 1024;

/** "The maximum size for a page blob is 8 TiB" (Storage services REST API, "Put Blob"). */
const largestBlobBytes = 8 * 1024 ** 4;

/** How often something may come in between while what stands there is replaced. */
const replaceTries = 3;

interface Standing {
  readonly blobBytes: number;
  readonly runId: string | undefined;
  readonly state: "restoring" | "complete" | "foreign";
  readonly etag: string | undefined;
  readonly sequence: number | undefined;
  /** The snapshot of what stood here before. */
  readonly kept: string | undefined;
  readonly isPageBlob: boolean;
  readonly isLeased: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

export class PageBlobTarget implements RunTarget, ResumableTarget {
  readonly #accounts: StorageAccounts;

  constructor(accounts: StorageAccounts) {
    this.#accounts = accounts;
  }

  locate(containerUrl: string, disk: DiskName): string {
    return `${this.#accounts.container(containerUrl).url}/${disk}.vhd`;
  }

  async isTaken(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<boolean> {
    checkFits(disk);
    const standing = await this.#look(disk, signal);
    return standing !== undefined && !isOwnUnfinished(standing, disk, runId);
  }

  async prepare(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    checkFits(disk);
    const { client, place } = this.#open(disk);
    const create = async (): Promise<"created" | "exists" | "no-container"> =>
      this.#call("create", disk, signal, async (abortSignal) => {
        try {
          await client.create(blobBytesOf(disk), {
            conditions: { ifNoneMatch: "*" },
            metadata: { farsiderun: runId, farsidestate: "restoring" },
            blobSequenceNumber: sequenceOf(runId),
            abortSignal,
          });
          return "created";
        } catch (error) {
          if (isAnswer(error, "BlobAlreadyExists", "ConditionNotMet", "UnauthorizedBlobOverwrite")) return "exists";
          if (isAnswer(error, "ContainerNotFound")) return "no-container";
          throw error;
        }
      });
    let answer = await create();
    if (answer === "no-container") {
      const container = this.#accounts.containerClient(place.account, place.container);
      await this.#call("make the container of", disk, signal, (abortSignal) =>
        container.createIfNotExists({ abortSignal }),
      );
      answer = await create();
    }
    if (answer === "created") return;
    // Also where an earlier try of this very request had arrived and only its answer was lost.
    const standing = await this.#look(disk, signal);
    if (standing !== undefined && isOwnUnfinished(standing, disk, runId)) return;
    throw exists(disk);
  }

  async replace(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<string | undefined> {
    checkFits(disk);
    const { client } = this.#open(disk);
    for (let tries = 1; tries <= replaceTries; tries++) {
      const standing = await this.#look(disk, signal);
      if (standing === undefined) {
        await this.prepare(disk, runId, signal);
        return undefined;
      }
      if (isOwnUnfinished(standing, disk, runId)) return standing.kept && snapshotUrl(disk.url, standing.kept);
      refuseReplacing(standing, disk, runId);
      const { etag = "", metadata } = standing;
      const kept = await keepBlob(client, disk.url, runId, { etag, metadata }, signal);
      if (kept !== undefined && (await this.#begin(disk, runId, { etag, kept }, signal))) {
        return snapshotUrl(disk.url, kept);
      }
    }
    throw new FarsideError("conflict", `${disk.url} changed ${replaceTries} times while it was to be replaced.`);
  }

  /** In the place of the blob that was kept; false where that was changed meanwhile. */
  async #begin(
    disk: TargetDisk,
    runId: RunId,
    { etag, kept }: { readonly etag: string; readonly kept: string },
    signal: AbortSignal,
  ): Promise<boolean> {
    const { client } = this.#open(disk);
    return this.#call("replace", disk, signal, async (abortSignal) => {
      try {
        await client.create(blobBytesOf(disk), {
          conditions: { ifMatch: etag },
          metadata: { farsiderun: runId, farsidestate: "restoring", farsidekept: kept },
          blobSequenceNumber: sequenceOf(runId),
          abortSignal,
        });
        return true;
      } catch (error) {
        if (isAnswer(error, "ConditionNotMet", "BlobNotFound")) return false;
        if (isAnswer(error, "LeaseIdMissing")) throw inUse(disk, "refused");
        // As a premium account may answer.
        if (isAnswer(error, "SnapshotsPresent")) {
          throw new FarsideError(
            "refused",
            `${disk.url} has snapshots, and its account does not let a blob with snapshots be replaced: restore to another container.`,
            { details: { url: disk.url } },
          );
        }
        throw error;
      }
    });
  }

  async check(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    this.#own(disk, runId, await this.#look(disk, signal));
  }

  #own(disk: TargetDisk, runId: RunId, standing: Standing | undefined): Standing {
    if (standing === undefined) {
      const message = `${disk.url} is gone: somebody removed it while it was restored. Restore again.`;
      throw new FarsideError("not-found", message, { details: { url: disk.url } });
    }
    if (standing.runId !== runId || standing.state === "foreign") throw notOurs(disk, undefined);
    return standing;
  }

  async write(disk: TargetDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void> {
    if (offset % 512 !== 0 || offset + content.length > disk.sizeBytes) {
      throw new RangeError(`A write of ${content.length} bytes at ${offset} does not fit a disk of ${disk.sizeBytes}.`);
    }
    const { client } = this.#open(disk);
    const ifSequenceNumberEqualTo = sequenceOf(runId);
    for (let at = 0; at < content.length; at += longestWriteBytes) {
      const part = withoutOuterZeros(content.subarray(at, at + longestWriteBytes));
      if (part === undefined) continue;
      const pages = toWholePages(part.content);
      await this.#call("write", disk, signal, (abortSignal) =>
        client
          .uploadPages(pages, offset + at + part.skipped, pages.length, {
            conditions: { ifSequenceNumberEqualTo },
            abortSignal,
          })
          .catch((error: unknown) => {
            throw isAnswer(error, "SequenceNumberConditionNotMet") ? notOurs(disk, error) : error;
          }),
      );
    }
  }

  async standing(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<TargetStanding> {
    const standing = await this.#look(disk, signal);
    if (standing === undefined) return { kind: "free" };
    if (isOwnUnfinished(standing, disk, runId)) return { kind: "unfinished" };
    if (standing.runId === runId && standing.state === "complete") return { kind: "finished" };
    return { kind: "taken", error: exists(disk) };
  }

  async reached(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<number> {
    const { client } = this.#open(disk);
    const at = blobBytesOf(disk) - vhdFooterBytes;
    const record = await readPages(client, at, vhdFooterBytes, `the page blob ${disk.url}`, signal);
    return parseRecord(record, runId, disk.sizeBytes);
  }

  /** What was acknowledged is there for good. */
  async record(disk: TargetDisk, runId: RunId, toByte: number, signal: AbortSignal): Promise<void> {
    const { client } = this.#open(disk);
    const at = blobBytesOf(disk) - vhdFooterBytes;
    const page = buildRecord(runId, toByte);
    await this.#call("write", disk, signal, (abortSignal) =>
      client
        .uploadPages(page, at, page.length, {
          conditions: { ifSequenceNumberEqualTo: sequenceOf(runId) },
          abortSignal,
        })
        .catch((error: unknown) => {
          throw isAnswer(error, "SequenceNumberConditionNotMet") ? notOurs(disk, error) : error;
        }),
    );
  }

  async leave(): Promise<void> {
    // Holds nothing.
  }

  async finish(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    const { client } = this.#open(disk);
    const standing = this.#own(disk, runId, await this.#look(disk, signal));
    if (standing.state === "restoring") {
      const sizeBytes = standing.blobBytes - vhdFooterBytes;
      const footer = buildVhdFooter({
        sizeBytes,
        // Of the run, not of now: finishing twice writes the same.
        createdAtMs: ulidEpochMs(runId),
        uniqueId: createHash("sha256").update(`${runId}/${disk.name}`).digest().subarray(0, 16),
      });
      try {
        const { etag } = await this.#call("finish", disk, signal, (abortSignal) =>
          client.uploadPages(footer, sizeBytes, footer.length, {
            conditions: { ifSequenceNumberEqualTo: sequenceOf(runId) },
            abortSignal,
          }),
        );
        const kept = standing.kept === undefined ? {} : { farsidekept: standing.kept };
        const metadata = { farsiderun: runId, farsidestate: "complete", ...kept };
        const conditions = etag === undefined ? {} : { ifMatch: etag };
        await this.#call("finish", disk, signal, (abortSignal) =>
          client.setMetadata(metadata, { conditions, abortSignal }),
        );
      } catch (error) {
        // Another delivery of the same step may have been faster.
        const now = await this.#look(disk, signal);
        if (now?.runId !== runId || now.state !== "complete") throw error;
      }
    }
    if (standing.sequence === 0) return;
    await this.#call("finish", disk, signal, (abortSignal) =>
      client.updateSequenceNumber("update", 0, { abortSignal }),
    );
  }

  async discard(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    const standing = await this.#look(disk, signal);
    if (standing !== undefined && isOwnUnfinished(standing, disk, runId))
      await this.#remove(disk, runId, standing, signal);
  }

  async takeBack(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    const standing = await this.#look(disk, signal);
    if (standing?.runId === runId && standing.state !== "foreign") await this.#remove(disk, runId, standing, signal);
    else await dropKept(this.#accounts, this.#open(disk).place, runId, false, signal);
  }

  async release(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await dropKept(this.#accounts, this.#open(disk).place, runId, true, signal);
  }

  /** What is this run's, and puts back what stood there. */
  async #remove(disk: TargetDisk, runId: RunId, standing: Standing, signal: AbortSignal): Promise<void> {
    const { client, place } = this.#open(disk);
    if (standing.isLeased) throw inUse(disk, "in-use");
    // The sequence number cannot guard a removal. The ETag does, against one that was finished or replaced just now.
    const { etag = "", kept } = standing;
    if (kept !== undefined) {
      await putBack(client, disk.url, kept, etag, signal);
      return dropKept(this.#accounts, place, runId, false, signal);
    }
    await this.#call("remove", disk, signal, async (abortSignal) => {
      try {
        await client.delete({ deleteSnapshots: "include", conditions: { ifMatch: etag }, abortSignal });
      } catch (error) {
        if (isAnswer(error, "BlobNotFound", "ContainerNotFound")) return;
        if (isAnswer(error, "LeaseIdMissing")) throw inUse(disk, "in-use");
        throw error;
      }
    });
  }

  /** Undefined where the service says that nothing stands there. */
  async #look(disk: TargetDisk, signal: AbortSignal): Promise<Standing | undefined> {
    const found = await propertiesOf(this.#open(disk).client, disk.url, signal);
    if (found === undefined) return undefined;
    const { contentLength = 0, metadata = {}, etag, blobSequenceNumber, blobType, leaseState } = found;
    const { farsiderun: runId, farsidestate, farsidekept: kept } = metadata;
    const state = farsidestate === "restoring" || farsidestate === "complete" ? farsidestate : "foreign";
    return {
      blobBytes: contentLength,
      runId,
      state,
      etag,
      sequence: blobSequenceNumber,
      kept,
      isPageBlob: blobType === "PageBlob",
      isLeased: leaseState === "leased",
      metadata,
    };
  }

  #open(disk: TargetDisk) {
    const place = this.#accounts.place(disk.url);
    const client: PageBlobClient = this.#accounts.pageBlob(place);
    return { client, place };
  }

  async #call<T>(
    verb: string,
    disk: TargetDisk,
    signal: AbortSignal,
    call: (bounded: AbortSignal) => Promise<T>,
  ): Promise<T> {
    return storageCall(`${verb} the page blob ${disk.url}`, signal, call);
  }
}

function isOwnUnfinished(standing: Standing, disk: TargetDisk, runId: RunId): boolean {
  return standing.state === "restoring" && standing.runId === runId && standing.blobBytes === blobBytesOf(disk);
}

/** Throws where what stands there must not be replaced. */
function refuseReplacing(standing: Standing, disk: TargetDisk, runId: RunId): void {
  if (standing.runId === runId || standing.state === "restoring") {
    const whose =
      standing.runId === runId
        ? "this restore itself has finished it"
        : `restore ${standing.runId} is at it, or has left it unfinished: then remove it`;
    throw new FarsideError("target-exists", `${disk.url} is not replaced: ${whose}.`, { details: { url: disk.url } });
  }
  if (standing.isLeased) throw inUse(disk, "refused");
  if (standing.isPageBlob) return;
  throw new FarsideError(
    "refused",
    `${disk.url} is no page blob, and so no disk: it is not replaced. Remove it first.`,
    {
      details: { url: disk.url },
    },
  );
}

function inUse(disk: TargetDisk, code: "refused" | "in-use"): FarsideError {
  return new FarsideError(
    code,
    `${disk.url} is leased: a machine or somebody else uses it. Stop that, or break the lease, first.`,
    { details: { url: disk.url } },
  );
}

/** Whole sectors, and the footer. */
const blobBytesOf = (disk: TargetDisk): number => Math.ceil(disk.sizeBytes / 512) * 512 + vhdFooterBytes;

function checkFits(disk: TargetDisk): void {
  if (blobBytesOf(disk) <= largestBlobBytes) return;
  throw new FarsideError(
    "not-supported",
    `The disk ${disk.name} has ${disk.sizeBytes} bytes, which with the footer of a VHD is more than a page blob holds (${largestBlobBytes}): restore it to a file (--to-file), or into the VM's own disk (--revert).`,
    { details: { disk: disk.name, sizeBytes: disk.sizeBytes } },
  );
}

/** From 1 up to 2^48, of the run alone. */
function sequenceOf(runId: RunId): number {
  return createHash("sha256").update(runId).digest().readUIntBE(0, 6) + 1;
}

function exists(disk: TargetDisk): FarsideError {
  return new FarsideError(
    "target-exists",
    `${disk.url} exists already and is not overwritten: remove it, or restore to another container.`,
    { details: { disk: disk.name, url: disk.url } },
  );
}

function notOurs(disk: TargetDisk, cause: unknown): FarsideError {
  return new FarsideError(
    "target-exists",
    `${disk.url} is not this restore's own unfinished work (any more): nothing was written to it.`,
    { cause, details: { url: disk.url } },
  );
}
