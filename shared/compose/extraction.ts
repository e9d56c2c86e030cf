/** Where files of an image go on this machine: a folder, or an archive on a stream. */
import { mkdir, readdir, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { ExtractFolder } from "../adapters/local/extract-folder.ts";
import { hasErrno } from "../adapters/local/errno.ts";
import { targetError } from "../adapters/local/target-errors.ts";
import { TarArchive } from "../adapters/local/tar-archive.ts";
import { ZipArchive } from "../adapters/local/zip-archive.ts";
import { FarsideError } from "../core/errors.ts";
import type { TargetNames } from "../core/files/target-name.ts";
import { nameMapper } from "../core/files/target-name.ts";
import { encodeFileName } from "../images/file-name.ts";
import type { ArchiveWriter, ByteSink } from "../ports/archive-writer.ts";
import type { ExtractionTarget } from "../ports/extraction-target.ts";

export interface ExtractionPlace {
  /** As the user wrote it, in the folder `cwd`. */
  readonly destination: string;
  readonly cwd: string;
  /** The last name of what is taken out; undefined for the root of a volume. */
  readonly name: string | undefined;
  readonly node: number;
  readonly isDirectory: boolean;
  readonly overwrite: boolean;
  readonly preserveSpecial: boolean;
  readonly owners: boolean;
}

export interface OpenedExtraction {
  readonly target: ExtractionTarget;
  /** What it is called in the target. */
  readonly as: readonly string[];
  /** The full path of it. */
  readonly path: string;
}

/**
 * As cp(1) does: into a folder that is there, under its own name; else under the name that was given. The root of a volume goes into
 * the folder itself, which must be empty unless to overwrite. Throws `target-exists`, `forbidden`.
 */
export async function openExtraction(place: ExtractionPlace): Promise<OpenedExtraction> {
  const names = namesOfThisSystem();
  try {
    const { folder, as } = await locate(place, names);
    const real = await realpath(folder);
    const { overwrite, preserveSpecial, owners } = place;
    const target = new ExtractFolder({
      folder: real,
      overwrite,
      preserveSpecial,
      owners,
      names,
      encodeName: encodeFileName,
    });
    return { target, as, path: join(real, ...as) };
  } catch (error) {
    throw targetError(resolve(place.cwd, place.destination), error);
  }
}

export function openArchive(kind: "tar" | "zip", sink: ByteSink): ArchiveWriter {
  return kind === "tar" ? new TarArchive(sink, encodeFileName) : new ZipArchive(sink);
}

async function locate(
  { destination, cwd, name, node, isDirectory, overwrite }: ExtractionPlace,
  names: TargetNames,
): Promise<{ readonly folder: string; readonly as: readonly string[] }> {
  const path = resolve(cwd, destination);
  const there = await kindOf(path);
  if (name === undefined) {
    await mkdir(path, { recursive: true });
    if (!overwrite && (await readdir(path)).length > 0) throw notEmpty(path);
    return { folder: path, as: [] };
  }
  if (there === "directory" || (there === undefined && !isDirectory && /[/\\]$/.test(destination))) {
    await mkdir(path, { recursive: true });
    return { folder: path, as: [nameMapper(names)(name, node).name] };
  }
  if (there === "other" && isDirectory) {
    throw new FarsideError("target-exists", `${path} is a file: give a folder to take a folder out to.`);
  }
  await mkdir(dirname(path), { recursive: true });
  return { folder: dirname(path), as: [basename(path)] };
}

async function kindOf(path: string): Promise<"directory" | "other" | undefined> {
  try {
    return (await stat(path)).isDirectory() ? "directory" : "other";
  } catch (error) {
    if (hasErrno(error, "ENOENT")) return undefined;
    throw error;
  }
}

function notEmpty(path: string): FarsideError {
  return new FarsideError(
    "target-exists",
    `${path} is not empty: give an empty or a new folder, or --overwrite where files in it may be replaced.`,
    { details: { path } },
  );
}

function namesOfThisSystem(): TargetNames {
  const bytesOf = (name: string): number => encodeFileName(name).length;
  const { platform } = process;
  return {
    rules: platform === "win32" ? "windows" : "posix",
    ignoresCase: platform === "win32" || platform === "darwin",
    bytesOf: platform === "win32" ? (name) => name.length : bytesOf,
  };
}
