/**
 * Disks restored as files `<folder>/<disk>.raw` or `.vhd` (the port says what a target must do).
 *
 * 1. All is written to `<name>.partial`, which is made anew and never taken over: one that stands there is another restore's, or
 *    that of a process that died, and is left for a person to remove. The name itself appears only when everything is on the disk.
 * 2. Zeros are not written: the file is sparse where the file system can.
 */
import { createHash } from "node:crypto";
import { link, lstat, mkdir, open, rename, rm, unlink, type FileHandle } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import { ulidEpochMs } from "../../core/ulid.ts";
import { buildVhdFooter, vhdFooterBytes } from "../../core/vhd.ts";
import type { DiskTarget, TargetDisk } from "../../ports/disk-target.ts";

const zeroStepBytes = 64 * 1024;
const zeros = Buffer.alloc(zeroStepBytes);

interface Work {
  readonly runId: RunId;
  readonly handle: FileHandle;
  /** Two that finish at once wait for the same end. */
  finishing?: Promise<void>;
}

/** A disk's `url` is its path. The unfinished work belongs to this object: another process cannot go on with it. */
export class FileTarget implements DiskTarget {
  readonly #format: "raw" | "vhd";
  readonly #work = new Map<string, Work>();
  readonly #finished = new Map<string, RunId>();

  constructor(format: "raw" | "vhd") {
    this.#format = format;
  }

  locate(folder: string, disk: DiskName): string {
    return join(resolve(folder), `${disk}.${this.#format}`);
  }

  async isTaken(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<boolean> {
    signal.throwIfAborted();
    if (await exists(disk.url)) return true;
    const work = this.#work.get(disk.url);
    return work === undefined ? exists(partial(disk)) : work.runId !== runId;
  }

  async prepare(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (await exists(disk.url)) throw taken(disk, disk.url);
    if (this.#work.get(disk.url)?.runId === runId) return;
    await attempt(disk, async () => {
      await mkdir(dirname(disk.url), { recursive: true });
      const handle = await open(partial(disk), "wx");
      const work = { runId, handle };
      this.#work.set(disk.url, work);
      try {
        await handle.truncate(bytesOf(disk));
      } catch (error) {
        await this.discard(disk, runId, signal);
        throw error;
      }
    });
  }

  async write(disk: TargetDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void> {
    if (offset % 512 !== 0 || offset + content.length > disk.sizeBytes) {
      throw new RangeError(`A write of ${content.length} bytes at ${offset} does not fit a disk of ${disk.sizeBytes}.`);
    }
    const { handle } = this.#own(disk, runId);
    for (let at = 0; at < content.length; at += zeroStepBytes) {
      signal.throwIfAborted();
      const part = content.subarray(at, at + zeroStepBytes);
      if (Buffer.compare(part, zeros.subarray(0, part.length)) === 0) continue;
      await attempt(disk, () => writeAll(handle, part, offset + at));
    }
  }

  async finish(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#finished.get(disk.url) === runId) return;
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
    await rm(partial(disk), { force: true });
  }

  async #complete(disk: TargetDisk, { runId, handle }: Work): Promise<void> {
    if (this.#format === "vhd") {
      const footer = buildVhdFooter({
        sizeBytes: bytesOf(disk),
        createdAtMs: ulidEpochMs(runId),
        uniqueId: createHash("sha256").update(`${runId}/${disk.name}`).digest().subarray(0, 16),
      });
      await writeAll(handle, footer, bytesOf(disk));
    }
    await handle.sync();
    await publish(disk);
    this.#finished.set(disk.url, runId);
    this.#work.delete(disk.url);
    await handle.close();
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

const partial = (disk: TargetDisk): string => `${disk.url}.partial`;
const bytesOf = (disk: TargetDisk): number => Math.ceil(disk.sizeBytes / 512) * 512;

/** Gives the file its name, unless something has that name by now: a link never replaces anything, a rename would. */
async function publish(disk: TargetDisk): Promise<void> {
  try {
    await link(partial(disk), disk.url);
    await unlink(partial(disk));
  } catch (error) {
    if (!hasErrno(error, "EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK")) throw error;
    // A file system without links (FAT, some network shares).
    if (await exists(disk.url)) throw taken(disk, disk.url);
    await rename(partial(disk), disk.url);
  }
  const folder = await open(dirname(disk.url), "r");
  // The name itself must be on the disk too; not every system lets a folder be synced.
  await folder.sync().catch(() => undefined);
  await folder.close();
}

async function writeAll(handle: FileHandle, content: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < content.length;) {
    const { bytesWritten } = await handle.write(content, done, content.length - done, position + done);
    done += bytesWritten;
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (hasErrno(error, "ENOENT", "ENOTDIR")) return false;
    throw error;
  }
}

async function attempt(disk: TargetDisk, action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch (cause) {
    if (hasErrno(cause, "EEXIST")) throw taken(disk, (await exists(disk.url)) ? disk.url : partial(disk));
    if (hasErrno(cause, "ENOSPC", "EDQUOT")) {
      throw new FarsideError(
        "unavailable",
        `There is no space left for ${disk.url}, a disk of ${disk.sizeBytes} bytes: free some (${disk.sizeBytes + vhdFooterBytes} at most), or restore to another folder.`,
        { cause },
      );
    }
    if (hasErrno(cause, "EFBIG")) {
      throw new FarsideError("bad-input", `The file system of ${disk.url} holds no file of ${disk.sizeBytes} bytes.`, {
        cause,
      });
    }
    if (hasErrno(cause, "EACCES", "EPERM", "EROFS")) {
      throw new FarsideError("forbidden", `${disk.url} may not be written: check the folder's permissions.`, { cause });
    }
    throw cause;
  }
}

function taken(disk: TargetDisk, path: string): FarsideError {
  const why =
    path === disk.url
      ? "exists already and is not overwritten: remove it, or restore to another folder"
      : "is the unfinished work of another restore: remove it where none is running";
  return new FarsideError("target-exists", `${path} ${why}.`, { details: { path } });
}

function hasErrno(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && "code" in error && codes.includes(String(error.code));
}
