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
import { constants, link, mkdir, open, rename, rm, type FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import { ulidEpochMs } from "../../core/ulid.ts";
import { buildVhdFooter, vhdFooterBytes } from "../../core/vhd.ts";
import type { ResumableTarget, TargetDisk, TargetStanding } from "../../ports/disk-target.ts";
import { hasErrno } from "./errno.ts";
import { attempt, finalExists, foreignWork } from "./file-target-errors.ts";
import { lockFolder, type FolderLock } from "./folder-lock.ts";
import { lookAtFile } from "./look-at-file.ts";
import { dataStretches, writeAll } from "./sparse-file.ts";
import {
  createUnfinished,
  readUnfinished,
  removeUnfinished,
  unfinishedPath,
  writeUnfinished,
  type UnfinishedFile,
} from "./unfinished-file.ts";

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
    return { kind: "taken", error: foreignWork(disk, await readUnfinished(unfinishedPath(disk))) };
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
        await rm(unfinishedPath(disk), { force: true });
        this.#finished.set(disk.url, runId);
      } else if (found.kind === "own-work") {
        await this.#goOn(disk, runId, found.state);
      } else await this.#begin(disk, runId);
    });
  }

  /** A final file is ours only by its inode: somebody may have put another one there since. */
  async #look(disk: TargetDisk, runId: RunId): Promise<Found> {
    const state = await readUnfinished(unfinishedPath(disk));
    const [work, final] = [await lookAtFile(unfinishedPath(disk)), await lookAtFile(disk.url)];
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
      await createUnfinished(unfinishedPath(disk), draft);
      handle = await open(unfinishedPath(disk), "wx+");
      await handle.truncate(bytesOf(disk));
      const state = { ...draft, fileId: (await lookAtFile(unfinishedPath(disk)))?.fileId ?? "", revision: 1 };
      await writeUnfinished(unfinishedPath(disk), state);
      this.#work.set(disk.url, { runId, handle, state });
    } catch (error) {
      await handle?.close();
      // What was not made here is not taken away here.
      if (handle !== undefined) await rm(unfinishedPath(disk), { force: true });
      await removeUnfinished(unfinishedPath(disk));
      throw error;
    }
  }

  async #goOn(disk: TargetDisk, runId: RunId, before: UnfinishedFile): Promise<void> {
    const handle = await open(unfinishedPath(disk), constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      const isWhole = before.durableBytes === disk.sizeBytes;
      if (!isWhole) {
        await handle.truncate(before.durableBytes);
        await handle.truncate(bytesOf(disk));
      }
      // It may have been moved here.
      const fileId = (await lookAtFile(unfinishedPath(disk)))?.fileId ?? "";
      const state = { ...before, fileId, revision: before.revision + 1 };
      if (state.fileId !== before.fileId) await writeUnfinished(unfinishedPath(disk), state);
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
    await writeUnfinished(unfinishedPath(disk), state);
    work.state = state;
  }

  async #complete(disk: TargetDisk, work: Work): Promise<void> {
    // Not recorded here: what was not recorded as whole, such as a disk with lost bytes, must not be taken for whole after a kill.
    if (work.state.durableBytes < disk.sizeBytes) {
      if (this.#format === "vhd") await writeAll(work.handle, footerOf(disk, work.runId), bytesOf(disk));
      await work.handle.datasync();
    }
    await (this.#overwrite ? rename(unfinishedPath(disk), disk.url) : publish(disk));
    await syncFolder(dirname(disk.url));
    this.#finished.set(disk.url, work.runId);
    this.#work.delete(disk.url);
    await work.handle.close();
    await this.#tidy();
  }

  /** What tells that a disk is finished is kept until all are: killed in between, the same restore must know it again. */
  async #tidy(): Promise<void> {
    if (this.#work.size > 0) return;
    for (const path of this.#finished.keys()) await removeUnfinished(unfinishedPath({ url: path }));
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

const bytesOf = (disk: TargetDisk): number => Math.ceil(disk.sizeBytes / 512) * 512;

/** Of the run alone: the same restore makes the same file. */
function footerOf(disk: TargetDisk, runId: RunId): Uint8Array {
  return buildVhdFooter({
    sizeBytes: bytesOf(disk),
    createdAtMs: ulidEpochMs(runId),
    uniqueId: createHash("sha256").update(`${runId}/${disk.name}`).digest().subarray(0, 16),
  });
}

/** Gives the file its name, unless something has that name by now: a link never replaces anything, a rename would. */
async function publish(disk: TargetDisk): Promise<void> {
  try {
    await link(unfinishedPath(disk), disk.url);
    await rm(unfinishedPath(disk), { force: true });
  } catch (error) {
    if (!hasErrno(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
    // A file system without links (FAT, some network shares).
    if ((await lookAtFile(disk.url)) !== undefined) throw finalExists(disk);
    await rename(unfinishedPath(disk), disk.url);
  }
}

/** What systems say that let no folder be opened (Windows) or synced (some network shares). */
const noFolderSync = ["EISDIR", "EPERM", "EACCES", "EINVAL", "ENOTSUP", "EOPNOTSUPP", "EBADF"];

/** The name itself must be on the disk too, where the system has a way to say so. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, "r");
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    if (!hasErrno(error, ...noFolderSync)) throw error;
  }
}

async function remove(disk: TargetDisk): Promise<void> {
  await rm(unfinishedPath(disk), { force: true });
  await removeUnfinished(unfinishedPath(disk));
}
