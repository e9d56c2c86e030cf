/**
 * Disks restored as files `<folder>/<disk>.raw` or `.vhd` (the port says what a target must do).
 *
 * 1. All is written to `<name>.partial`; `<name>.partial.state` says whose work it is and how far it stands. The name itself appears
 *    only when everything is on the disk. Work of the same restore is gone on with; any other is left, or replaced by `overwrite`.
 * 2. Zeros are not written: the file is sparse where the file system can. Work that is gone on with is cut off where it last stood for
 *    good, so that nothing but holes is behind that.
 * 3. One process at a time writes into a folder: the lock ends with its process.
 */
import { createHash } from "node:crypto";
import { constants, link, lstat, mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import { ulidEpochMs } from "../../core/ulid.ts";
import { buildVhdFooter, vhdFooterBytes } from "../../core/vhd.ts";
import type { ResumableTarget, TargetDisk, TargetStanding } from "../../ports/disk-target.ts";
import { hasErrno } from "./errno.ts";
import { lockFolder, type FolderLock } from "./folder-lock.ts";
import {
  createUnfinished,
  readUnfinished,
  removeUnfinished,
  statePathOf,
  writeUnfinished,
  type UnfinishedFile,
} from "./unfinished-file.ts";

const zeroStepBytes = 64 * 1024;
const zeros = Buffer.alloc(zeroStepBytes);

interface Work {
  readonly runId: RunId;
  readonly handle: FileHandle;
  state: UnfinishedFile;
  /** Two that finish at once wait for the same end. */
  finishing?: Promise<void>;
}

export interface FileTargetOptions {
  /** Replace a file of the final name, at the very end, and unfinished work of another restore. */
  readonly overwrite?: boolean;
}

/** What stands where a disk is to go. */
type Found =
  /** `named`: this restore's own disk under its final name. */
  | { readonly kind: "free" | "named" | "final" | "foreign-work" }
  | { readonly kind: "own-work"; readonly state: UnfinishedFile };

/** A disk's `url` is its path. */
export class FileTarget implements ResumableTarget {
  readonly #format: "raw" | "vhd";
  readonly #overwrite: boolean;
  readonly #work = new Map<string, Work>();
  readonly #finished = new Map<string, RunId>();
  readonly #locks = new Map<string, Promise<FolderLock>>();
  /** Looking and beginning are one step: of many that prepare at once exactly one begins. */
  #preparing: Promise<void> = Promise.resolve();

  constructor(format: "raw" | "vhd", options: FileTargetOptions = {}) {
    this.#format = format;
    this.#overwrite = options.overwrite === true;
  }

  locate(folder: string, disk: DiskName): string {
    return join(resolve(folder), `${disk}.${this.#format}`);
  }

  async isTaken(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<boolean> {
    return (await this.standing(disk, runId, signal)).kind === "taken";
  }

  async standing(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<TargetStanding> {
    signal.throwIfAborted();
    const work = this.#work.get(disk.url);
    if (work !== undefined && work.runId !== runId) return { kind: "taken", error: foreignWork(disk, work.state) };
    const found = await this.#look(disk, runId);
    // Named already, but what tells whose it is is still there: its restore has not come to its end.
    if (found.kind === "own-work" || found.kind === "named") return { kind: "unfinished" };
    if (found.kind === "free" || this.#overwrite) return { kind: "free" };
    if (found.kind === "final") return { kind: "taken", error: finalExists(disk) };
    return { kind: "taken", error: foreignWork(disk, await readUnfinished(partial(disk))) };
  }

  async prepare(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    const turn = this.#preparing.then(() => this.#prepare(disk, runId, signal));
    this.#preparing = turn.catch(() => undefined);
    await turn;
  }

  async reached(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<number> {
    signal.throwIfAborted();
    if (this.#finished.get(disk.url) === runId) return disk.sizeBytes;
    return this.#own(disk, runId).state.durableBytes;
  }

  async write(disk: TargetDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void> {
    if (offset % 512 !== 0 || offset + content.length > disk.sizeBytes) {
      throw new RangeError(`A write of ${content.length} bytes at ${offset} does not fit a disk of ${disk.sizeBytes}.`);
    }
    const { handle } = this.#own(disk, runId);
    for (const { from, to } of dataStretches(content)) {
      signal.throwIfAborted();
      await attempt(disk, () => writeAll(handle, content.subarray(from, to), offset + from));
    }
  }

  async record(disk: TargetDisk, runId: RunId, toByte: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#finished.get(disk.url) === runId) return;
    const work = this.#own(disk, runId);
    if (toByte > work.state.durableBytes) await attempt(disk, () => this.#record(disk, work, toByte));
  }

  async finish(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#finished.get(disk.url) === runId) return this.#tidy();
    const work = this.#own(disk, runId);
    work.finishing ??= attempt(disk, () => this.#complete(disk, work)).finally(() => {
      delete work.finishing;
    });
    await work.finishing;
  }

  async discard(disk: TargetDisk, runId: RunId, _signal: AbortSignal): Promise<void> {
    const work = this.#work.get(disk.url);
    if (work?.runId !== runId) return;
    this.#work.delete(disk.url);
    await work.handle.close();
    await remove(disk);
    await this.#tidy();
  }

  async leave(): Promise<void> {
    const work = Array.from(this.#work.values());
    this.#work.clear();
    for (const { handle } of work) await handle.close();
    await this.#unlock();
  }

  async #prepare(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#work.get(disk.url)?.runId === runId) return;
    await attempt(disk, async () => {
      await mkdir(dirname(disk.url), { recursive: true });
      await this.#lock(dirname(disk.url));
      const standing = await this.standing(disk, runId, signal);
      if (standing.kind === "taken") throw standing.error;
      const found = await this.#look(disk, runId);
      if (found.kind === "named") {
        // Killed between giving the name and tidying up.
        await rm(partial(disk), { force: true });
        this.#finished.set(disk.url, runId);
      } else if (found.kind === "own-work") {
        await this.#goOn(disk, runId, found.state);
      } else await this.#begin(disk, runId);
    });
  }

  /** A final file is ours only by its inode: somebody may have put another one there since. */
  async #look(disk: TargetDisk, runId: RunId): Promise<Found> {
    const state = await readUnfinished(partial(disk));
    const [work, final] = [await look(partial(disk)), await look(disk.url)];
    const isOwn =
      state?.restoreId === runId && state.sizeBytes === disk.sizeBytes && state.durableBytes <= disk.sizeBytes;
    const isWhole = isOwn && state.durableBytes === state.sizeBytes;
    if (isWhole && final !== undefined && state.fileId === final.fileId) return { kind: "named" };
    // With both there, what stands under the final name is told first: it is what would be lost.
    if (final !== undefined && !this.#overwrite) return { kind: "final" };
    if (work !== undefined) {
      return isOwn && work.isFile && fits(disk, state, work.sizeBytes)
        ? { kind: "own-work", state }
        : { kind: "foreign-work" };
    }
    return { kind: final === undefined ? "free" : "final" };
  }

  async #begin(disk: TargetDisk, runId: RunId): Promise<void> {
    if (this.#overwrite) await remove(disk);
    const { vaultId, vmId, pointId } = disk.origin ?? {};
    const { name, sizeBytes } = disk;
    const draft: UnfinishedFile = {
      formatVersion: 1,
      revision: 0,
      restoreId: runId,
      vaultId,
      vmId,
      pointId,
      disk: name,
      sizeBytes,
      format: this.#format,
      durableBytes: 0,
      fileId: "",
    };
    let handle: FileHandle | undefined;
    try {
      // Before the work itself: killed in between, no work stands there that nobody knows.
      await createUnfinished(partial(disk), draft);
      handle = await open(partial(disk), "wx+");
      await handle.truncate(bytesOf(disk));
      const state = { ...draft, fileId: (await look(partial(disk)))?.fileId ?? "", revision: 1 };
      await writeUnfinished(partial(disk), state);
      this.#work.set(disk.url, { runId, handle, state });
    } catch (error) {
      await handle?.close();
      // What was not made here is not taken away here.
      if (handle !== undefined) await rm(partial(disk), { force: true });
      await removeUnfinished(partial(disk));
      throw error;
    }
  }

  async #goOn(disk: TargetDisk, runId: RunId, before: UnfinishedFile): Promise<void> {
    const handle = await open(partial(disk), constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      const isWhole = before.durableBytes === disk.sizeBytes;
      if (!isWhole) {
        await handle.truncate(before.durableBytes);
        await handle.truncate(bytesOf(disk));
      }
      // It may have been moved here.
      const fileId = (await look(partial(disk)))?.fileId ?? "";
      const state = { ...before, fileId, revision: before.revision + 1 };
      if (state.fileId !== before.fileId) await writeUnfinished(partial(disk), state);
      this.#work.set(disk.url, { runId, handle, state });
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  async #record(disk: TargetDisk, work: Work, toByte: number): Promise<void> {
    if (toByte === disk.sizeBytes && this.#format === "vhd") {
      await writeAll(work.handle, footerOf(disk, work.runId), bytesOf(disk));
    }
    // fdatasync(2) also keeps what is needed to read the data again: size and blocks.
    await work.handle.datasync();
    const state = { ...work.state, durableBytes: toByte, revision: work.state.revision + 1 };
    await writeUnfinished(partial(disk), state);
    work.state = state;
  }

  async #complete(disk: TargetDisk, work: Work): Promise<void> {
    // Not recorded here: what was not recorded as whole, such as a disk with lost bytes, must not be taken for whole after a kill.
    if (work.state.durableBytes < disk.sizeBytes) {
      if (this.#format === "vhd") await writeAll(work.handle, footerOf(disk, work.runId), bytesOf(disk));
      await work.handle.datasync();
    }
    await (this.#overwrite ? rename(partial(disk), disk.url) : publish(disk));
    await syncFolder(dirname(disk.url));
    this.#finished.set(disk.url, work.runId);
    this.#work.delete(disk.url);
    await work.handle.close();
    await this.#tidy();
  }

  /** What tells that a disk is finished is kept until all are: killed in between, the same restore must know it again. */
  async #tidy(): Promise<void> {
    if (this.#work.size > 0) return;
    for (const path of this.#finished.keys()) await removeUnfinished(`${path}.partial`);
    await this.#unlock();
  }

  async #lock(folder: string): Promise<void> {
    const held = this.#locks.get(folder);
    if (held !== undefined) return void (await held);
    const locking = lockFolder(folder);
    this.#locks.set(folder, locking);
    try {
      await locking;
    } catch (error) {
      this.#locks.delete(folder);
      throw error;
    }
  }

  async #unlock(): Promise<void> {
    const locks = Array.from(this.#locks.values());
    this.#locks.clear();
    for (const lock of locks) await (await lock).release();
  }

  #own(disk: TargetDisk, runId: RunId): Work {
    const work = this.#work.get(disk.url);
    if (work?.runId === runId) return work;
    throw new FarsideError(
      "target-exists",
      `${disk.url} is not this restore's own unfinished work: nothing was written.`,
    );
  }
}

/** Killed while it was begun, or gone on with, it is as long as it stands for good or longer. */
function fits(disk: TargetDisk, { durableBytes }: UnfinishedFile, fileBytes: number): boolean {
  const bytes = bytesOf(disk);
  if (durableBytes === disk.sizeBytes) return fileBytes === bytes || fileBytes === bytes + vhdFooterBytes;
  return durableBytes <= fileBytes && fileBytes <= bytes + vhdFooterBytes;
}

const partial = (disk: TargetDisk): string => `${disk.url}.partial`;
const bytesOf = (disk: TargetDisk): number => Math.ceil(disk.sizeBytes / 512) * 512;

/** Of the run alone: the same restore makes the same file. */
function footerOf(disk: TargetDisk, runId: RunId): Uint8Array {
  return buildVhdFooter({
    sizeBytes: bytesOf(disk),
    createdAtMs: ulidEpochMs(runId),
    uniqueId: createHash("sha256").update(`${runId}/${disk.name}`).digest().subarray(0, 16),
  });
}

/** Neighbouring steps that hold data in one stretch, so that it takes one write. */
function* dataStretches(content: Uint8Array): Generator<{ readonly from: number; readonly to: number }> {
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

/** Gives the file its name, unless something has that name by now: a link never replaces anything, a rename would. */
async function publish(disk: TargetDisk): Promise<void> {
  try {
    await link(partial(disk), disk.url);
    await rm(partial(disk), { force: true });
  } catch (error) {
    if (!hasErrno(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
    // A file system without links (FAT, some network shares).
    if ((await look(disk.url)) !== undefined) throw finalExists(disk);
    await rename(partial(disk), disk.url);
  }
}

/** The name itself must be on the disk too; not every system lets a folder be synced. */
async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, "r").catch(() => undefined);
  await folder?.sync().catch(() => undefined);
  await folder?.close();
}

async function remove(disk: TargetDisk): Promise<void> {
  await rm(partial(disk), { force: true });
  await removeUnfinished(partial(disk));
}

async function writeAll(handle: FileHandle, content: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < content.length;) {
    const { bytesWritten } = await handle.write(content, done, content.length - done, position + done);
    done += bytesWritten;
  }
}

async function look(
  path: string,
): Promise<{ readonly fileId: string; readonly sizeBytes: number; readonly isFile: boolean } | undefined> {
  try {
    const found = await lstat(path);
    return { fileId: `${found.dev}:${found.ino}`, sizeBytes: found.size, isFile: found.isFile() };
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return undefined;
    throw error;
  }
}

async function attempt(disk: TargetDisk, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (cause) {
    if (hasErrno(cause, "EEXIST")) {
      throw (await look(disk.url)) === undefined ? foreignWork(disk, undefined) : finalExists(disk);
    }
    if (hasErrno(cause, "EISDIR", "ENOTEMPTY")) throw finalExists(disk);
    if (hasErrno(cause, "ENOSPC", "EDQUOT")) {
      throw new FarsideError(
        "target-full",
        `There is no space left for ${disk.url}, a disk of ${disk.sizeBytes} bytes: free some (${disk.sizeBytes + vhdFooterBytes} at most), or restore to another folder.`,
        { cause, details: { path: disk.url } },
      );
    }
    if (hasErrno(cause, "EFBIG")) {
      throw new FarsideError(
        "target-full",
        `The file system of ${disk.url}, or this process's limit (ulimit -f), allows no file of ${disk.sizeBytes} bytes.`,
        { cause, details: { path: disk.url } },
      );
    }
    if (hasErrno(cause, "ENOTDIR", "ENOENT")) {
      throw new FarsideError(
        "unavailable",
        `${disk.url} cannot be made: a file stands on the way to it, or the folder is gone or takes no files. Give another folder.`,
        { cause, details: { path: disk.url } },
      );
    }
    if (hasErrno(cause, "EACCES", "EPERM", "EROFS")) {
      throw new FarsideError("forbidden", `${disk.url} may not be written: check the folder's permissions.`, { cause });
    }
    throw cause;
  }
}

function finalExists(disk: TargetDisk): FarsideError {
  return new FarsideError(
    "target-exists",
    `${disk.url} exists already and is not overwritten: remove it, restore to another folder, or give --overwrite.`,
    { details: { disk: disk.name, path: disk.url } },
  );
}

function foreignWork(disk: TargetDisk, state: UnfinishedFile | undefined): FarsideError {
  const of =
    state?.pointId === undefined
      ? "another restore"
      : `another restore, of ${state.disk} of restore point ${state.pointId}`;
  return new FarsideError(
    "target-exists",
    `${partial(disk)} is the unfinished work of ${of}: run that one again to end it, remove it (rm ${partial(disk)} ${statePathOf(partial(disk))}), or give --overwrite.`,
    {
      details: {
        disk: disk.name,
        path: partial(disk),
        ...(state?.pointId === undefined ? {} : { pointId: state.pointId }),
      },
    },
  );
}
