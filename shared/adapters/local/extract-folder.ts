/**
 * A folder of this machine that files of an image are taken out to (the port says what must hold).
 *
 * 1. Every directory on the way to a file was made here, or, to overwrite, was looked at and is a real one: never a link. As long as it
 *    is not finished nobody but its owner may enter it, so that nobody can put a link there meanwhile.
 * 2. A file is written as `.farside-<process>-<number>.partial`, made anew and never through a link, and then gets its name: by a
 *    link, which replaces nothing, or to overwrite by a rename, which replaces a link and not what it leads to.
 * 3. Zeros are not written: the file is sparse where the file system can.
 */
import type { FileHandle } from "node:fs/promises";
import {
  chmod,
  chown,
  lchown,
  link,
  lstat,
  lutimes,
  mkdir,
  open,
  rename,
  rm,
  symlink,
  unlink,
  utimes,
} from "node:fs/promises";
import { join } from "node:path";
import { fileTimeMs } from "../../core/files/file-time.ts";
import type { TargetNames } from "../../core/files/target-name.ts";
import { FarsideError } from "../../core/errors.ts";
import type { ExtractionTarget, TargetFacts, TargetPath } from "../../ports/extraction-target.ts";
import type { FilePiece } from "../../ports/file-system.ts";
import { AttributeBatch } from "./set-attributes.ts";
import { hasErrno } from "./errno.ts";
import { targetError } from "./target-errors.ts";

export interface ExtractFolderOptions {
  /** An existing directory; its real path. */
  readonly folder: string;
  readonly overwrite: boolean;
  readonly preserveSpecial: boolean;
  /** Users and groups by their numbers; needs root. */
  readonly owners: boolean;
  readonly names: TargetNames;
  /** The bytes of a name: not every name is UTF-8. */
  readonly encodeName: (name: string) => Uint8Array;
}

/** Partial names that are tried: another one may be the image's own, or left by a process that died. */
const maxPartialNames = 1000;
/** link(2) on a file system without hard links (FAT, some network shares), or for a file that has as many names as it may. */
const noLinkCodes = ["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"];
const zeroStepBytes = 64 * 1024;
const zeros = Buffer.alloc(zeroStepBytes);

export class ExtractFolder implements ExtractionTarget {
  readonly names: TargetNames;
  readonly #options: ExtractFolderOptions;
  readonly #attributes: AttributeBatch;
  #partials = 0;

  constructor(options: ExtractFolderOptions) {
    this.names = options.names;
    this.#options = options;
    this.#attributes = new AttributeBatch(options.folder);
  }

  async makeDirectory(path: TargetPath): Promise<void> {
    const at = this.#at(path);
    await this.#attempt(path, async () => {
      if (path.length === 0) return;
      try {
        await mkdir(at, 0o700);
      } catch (error) {
        if (!hasErrno(error, "EEXIST") || !this.#options.overwrite) throw error;
        // A link to a directory is no directory here.
        if (!(await lstat(at)).isDirectory()) throw error;
      }
    });
  }

  async writeFile(
    path: TargetPath,
    sizeBytes: number,
    pieces: AsyncIterable<FilePiece>,
    facts: TargetFacts,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#withPartial(path, async (partial) => {
      const file = await this.#attempt(path, () => open(partial, "wx", 0o600));
      try {
        for await (const piece of pieces) {
          signal.throwIfAborted();
          if (piece.kind === "data") await this.#attempt(path, () => writeData(file, piece.content, piece.offset));
        }
        await this.#attempt(path, async () => {
          await file.truncate(sizeBytes);
          // Giving a file away takes its special bits: the mode comes after.
          if (this.#options.owners) await file.chown(facts.uid, facts.gid);
          await file.chmod(this.#mode(facts));
          const at = timeOf(facts);
          await file.utimes(at, at);
        });
      } finally {
        await file.close();
      }
    });
  }

  async makeHardLink(path: TargetPath, existing: TargetPath): Promise<void> {
    await this.#withPartial(path, (partial) =>
      this.#attempt(path, async () => {
        try {
          await link(this.#at(existing), partial);
        } catch (error) {
          if (!hasErrno(error, ...noLinkCodes)) throw error;
          throw new FarsideError("not-supported", "No further name of a file can be made here.", { cause: error });
        }
      }),
    );
  }

  async makeLink(path: TargetPath, text: string, facts: TargetFacts): Promise<void> {
    const target = Buffer.from(this.#options.encodeName(text));
    if (target.length === 0 || target.includes(0)) {
      throw new FarsideError("bad-input", "The link leads to what no link can lead to: it was not made.");
    }
    await this.#withPartial(path, (partial) =>
      this.#attempt(path, async () => {
        await symlink(target, partial);
        if (this.#options.owners) await lchown(partial, facts.uid, facts.gid);
        const at = timeOf(facts);
        await lutimes(partial, at, at);
      }),
    );
  }

  async finishDirectory(path: TargetPath, facts: TargetFacts): Promise<void> {
    // The folder that the user gave stays as the user made it.
    if (path.length === 0) return;
    const at = this.#at(path);
    await this.#attempt(path, async () => {
      if (this.#options.owners) await chown(at, facts.uid, facts.gid);
      await chmod(at, this.#mode(facts));
      const when = timeOf(facts);
      await utimes(at, when, when);
    });
  }

  async setAttributes(path: TargetPath, attributes: ReadonlyMap<string, Uint8Array>): Promise<void> {
    await this.#attributes.add(this.#relative(path), attributes);
  }

  async flushAttributes(): Promise<readonly string[]> {
    return this.#attributes.flush();
  }

  /** Makes something under a name of its own in the same directory, then gives it its name. Nothing is left of it where it fails. */
  async #withPartial(path: TargetPath, make: (partial: Buffer) => Promise<void>): Promise<void> {
    for (let tries = 0; ; tries++) {
      this.#partials += 1;
      const partial = this.#at([...path.slice(0, -1), `.farside-${process.pid}-${this.#partials}.partial`]);
      try {
        await make(partial);
      } catch (error) {
        if (isTaken(error) && tries < maxPartialNames) continue;
        if (!isTaken(error)) await rm(partial, { force: true });
        throw error;
      }
      try {
        await this.#attempt(path, () => this.#publish(partial, this.#at(path)));
      } catch (error) {
        await rm(partial, { force: true });
        throw error;
      }
      return;
    }
  }

  async #publish(partial: Buffer, at: Buffer): Promise<void> {
    if (this.#options.overwrite) {
      await rename(partial, at);
      // Renaming one name of a file to another name of it does nothing, and leaves both.
      await rm(partial, { force: true });
      return;
    }
    try {
      await link(partial, at);
    } catch (error) {
      if (!hasErrno(error, ...noLinkCodes)) throw error;
      await refuseExisting(at);
      await rename(partial, at);
      return;
    }
    await unlink(partial);
  }

  #mode({ mode }: TargetFacts): number {
    return mode & (this.#options.preserveSpecial ? 0o7777 : 0o1777);
  }

  #relative(path: TargetPath): Buffer {
    const parts = path.flatMap((name) => [Buffer.from("/"), Buffer.from(this.#options.encodeName(name))]);
    return Buffer.concat([Buffer.from("."), ...parts]);
  }

  #at(path: TargetPath): Buffer {
    return Buffer.concat([Buffer.from(`${this.#options.folder}/`), this.#relative(path)]);
  }

  async #attempt<T>(path: TargetPath, action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw targetError(join(this.#options.folder, ...path), error);
    }
  }
}

function isTaken(error: unknown): boolean {
  return error instanceof FarsideError && hasErrno(error.cause, "EEXIST");
}

/** Whole stretches of zeros become holes. */
async function writeData(file: FileHandle, content: Uint8Array, offset: number): Promise<void> {
  let from = 0;
  for (let at = 0; at < content.length; at += zeroStepBytes) {
    const part = content.subarray(at, at + zeroStepBytes);
    if (Buffer.compare(part, zeros.subarray(0, part.length)) !== 0) continue;
    await writeAll(file, content.subarray(from, at), offset + from);
    from = at + part.length;
  }
  await writeAll(file, content.subarray(from), offset + from);
}

async function writeAll(file: FileHandle, content: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < content.length;) {
    const { bytesWritten } = await file.write(content, done, content.length - done, position + done);
    done += bytesWritten;
  }
}

async function refuseExisting(at: Buffer): Promise<void> {
  try {
    await lstat(at);
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return;
    throw error;
  }
  throw Object.assign(new Error("It exists."), { code: "EEXIST" });
}

/** As a date: Node takes a negative number for "now". */
function timeOf({ modifiedNs }: TargetFacts): Date | number {
  return modifiedNs < 0n ? new Date(fileTimeMs(modifiedNs)) : Number(modifiedNs) / 1e9;
}
