/**
 * Disks restored as page blobs `<container>/<disk>.vhd` (the port says what a target must do).
 *
 * 1. The blob is made with If-None-Match and carries its run and `farsidestate=restoring`. Its VHD footer, without which nothing
 *    takes it for a disk, comes last; then the state says `complete`.
 * 2. Its sequence number is derived from the run, and every write is conditional on it: a late write of another run, or one
 *    after the end, which sets it to 0, changes nothing. (An ETag could not do that: it changes with every write.)
 * 3. How far an unfinished disk stands is kept where its footer will be: written under the same condition as all else, and no footer.
 * 4. It is made anew and written, never copied on the server: the emulator lets a copy and its source share pages.
 */
import { createHash } from "node:crypto";
import type { PageBlobClient } from "@azure/storage-blob";
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import { ulidEpochMs } from "../../core/ulid.ts";
import { buildVhdFooter, vhdFooterBytes } from "../../core/vhd.ts";
import type { ResumableTarget, TargetDisk, TargetStanding } from "../../ports/disk-target.ts";
import type { StorageAccounts } from "./storage-accounts.ts";
import { readPages } from "./page-blob-facts.ts";
import { isAnswer, storageCall } from "./storage-call.ts";

/** The most that one Put Page may hold. */
const longestWriteBytes = 4 * 1024 * 1024;
/** Zeros at the ends of a write are left out in steps of this. */
const zeroStepBytes = 4096;

interface Standing {
  readonly blobBytes: number;
  readonly runId: string | undefined;
  readonly state: "restoring" | "complete" | "foreign";
  readonly etag: string | undefined;
  readonly sequence: number | undefined;
}

export class PageBlobTarget implements ResumableTarget {
  readonly #accounts: StorageAccounts;

  constructor(accounts: StorageAccounts) {
    this.#accounts = accounts;
  }

  locate(containerUrl: string, disk: DiskName): string {
    return `${this.#accounts.container(containerUrl).url}/${disk}.vhd`;
  }

  async isTaken(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<boolean> {
    const standing = await this.#look(disk, signal);
    return standing !== undefined && !isOwnUnfinished(standing, disk, runId);
  }

  async prepare(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
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
    const standing = await this.#look(disk, signal);
    if (standing?.runId !== runId || standing.state === "foreign") throw notOurs(disk, undefined);
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
        const metadata = { farsiderun: runId, farsidestate: "complete" };
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
    const { client } = this.#open(disk);
    const standing = await this.#look(disk, signal);
    if (standing === undefined || !isOwnUnfinished(standing, disk, runId)) return;
    await this.#call("remove", disk, signal, async (abortSignal) => {
      try {
        // The sequence number cannot guard a removal. The ETag does, against one that was finished or replaced just now.
        const conditions = standing.etag === undefined ? {} : { ifMatch: standing.etag };
        await client.delete({ deleteSnapshots: "include", conditions, abortSignal });
      } catch (error) {
        if (isAnswer(error, "BlobNotFound", "ContainerNotFound")) return;
        throw error;
      }
    });
  }

  /** Undefined where the service says that nothing stands there. */
  async #look(disk: TargetDisk, signal: AbortSignal): Promise<Standing | undefined> {
    const { client } = this.#open(disk);
    return this.#call("look at", disk, signal, async (abortSignal) => {
      try {
        const {
          contentLength = 0,
          metadata = {},
          etag,
          blobSequenceNumber,
        } = await client.getProperties({ abortSignal });
        const { farsiderun: runId, farsidestate } = metadata;
        const state = farsidestate === "restoring" || farsidestate === "complete" ? farsidestate : "foreign";
        return { blobBytes: contentLength, runId, state, etag, sequence: blobSequenceNumber };
      } catch (error) {
        if (isAnswer(error, "BlobNotFound", "ContainerNotFound")) return undefined;
        throw error;
      }
    });
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

/** Whole sectors, and the footer. */
const blobBytesOf = (disk: TargetDisk): number => Math.ceil(disk.sizeBytes / 512) * 512 + vhdFooterBytes;

/** From 1 up to 2^48, of the run alone. */
function sequenceOf(runId: RunId): number {
  return createHash("sha256").update(runId).digest().readUIntBE(0, 6) + 1;
}

const recordMark = "farside unfinished restore";

function buildRecord(runId: RunId, toByte: number): Buffer {
  const page = Buffer.alloc(vhdFooterBytes);
  page.write(`${recordMark} ${runId} ${toByte}\n`, "latin1");
  return page;
}

/** 0 where nothing was recorded. */
function parseRecord(page: Uint8Array, runId: RunId, sizeBytes: number): number {
  const line = Buffer.from(page).toString("latin1").split("\n")[0] ?? "";
  const prefix = `${recordMark} ${runId} `;
  const text = line.startsWith(prefix) ? line.slice(prefix.length) : "";
  const toByte = /^\d{1,15}$/.test(text) ? Number(text) : 0;
  return toByte <= sizeBytes ? toByte : 0;
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

/** What is left without the zeros at both ends; undefined where there is nothing else. */
function withoutOuterZeros(part: Uint8Array): { readonly skipped: number; readonly content: Uint8Array } | undefined {
  let from = 0;
  while (from < part.length && isZero(part.subarray(from, from + zeroStepBytes))) from += zeroStepBytes;
  if (from >= part.length) return undefined;
  let to = part.length;
  for (let step = lastStep(to); isZero(part.subarray(step, to)); step = lastStep(to)) to = step;
  return { skipped: from, content: part.subarray(from, to) };
}

const lastStep = (end: number): number => (Math.ceil(end / zeroStepBytes) - 1) * zeroStepBytes;

function isZero(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).equals(zeros.subarray(0, bytes.length));
}

const zeros = Buffer.alloc(zeroStepBytes);

/** At the end of a disk that is no multiple of 512 the last page is filled up with zeros. */
function toWholePages(content: Uint8Array): Uint8Array {
  if (content.length % 512 === 0) return content;
  const pages = new Uint8Array(Math.ceil(content.length / 512) * 512);
  pages.set(content);
  return pages;
}
