/**
 * Sends a file or a folder of an image out as an archive, entry by entry, as it is walked: the first byte leaves before the second file
 * is looked at.
 *
 * An entry announces its size before its content. Where the content cannot be read to its end, zeros fill it, so that the archive
 * stays readable, and the file is listed as a problem: never silently. A file that cannot be read at all has no entry.
 */
import { FarsideError } from "../../core/errors.ts";
import type { ArchiveFacts, ArchiveWriter, Attributes } from "../../ports/archive-writer.ts";
import type { FilePiece, FileStat, FileSystem, NodeId } from "../../ports/file-system.ts";
import { isOwnFault } from "./file-problem.ts";
import type { TakeCounts, TakeReport } from "./take-report.ts";
import { TakeTally } from "./take-report.ts";
import { TargetPlaces } from "./target-places.ts";
import type { TreeStep, WalkStart } from "./walk-tree.ts";
import { walkTree } from "./walk-tree.ts";

export interface ArchiveOptions {
  /** The name of the file or folder in the archive; empty where a folder's content stands at its top. */
  readonly as: readonly string[];
  readonly preserveSpecial: boolean;
  readonly onProgress: (done: TakeCounts) => void;
}

/** Files with several names that are remembered; further ones come once for each name. About 200 bytes each. */
const maxHardLinked = 500_000;
const none: Attributes = new Map();

/** Throws what is wrong with the start itself, before anything was written. */
export async function archiveFiles(
  fs: FileSystem,
  start: WalkStart,
  archive: ArchiveWriter,
  options: ArchiveOptions,
  signal: AbortSignal,
): Promise<TakeReport> {
  const archiving = new Archiving(fs, archive, options, signal);
  const places = new TargetPlaces(archive.names, options.as, start.path.length);
  for await (const step of walkTree(fs, start, signal)) await archiving.add(step, start, places);
  await archive.end();
  return archiving.report;
}

class Archiving {
  readonly #fs: FileSystem;
  readonly #archive: ArchiveWriter;
  readonly #options: ArchiveOptions;
  readonly #signal: AbortSignal;
  readonly #tally = new TakeTally();
  readonly #hardLinked = new Map<NodeId, readonly string[]>();

  constructor(fs: FileSystem, archive: ArchiveWriter, options: ArchiveOptions, signal: AbortSignal) {
    this.#fs = fs;
    this.#archive = archive;
    this.#options = options;
    this.#signal = signal;
  }

  get report(): TakeReport {
    return this.#tally.report;
  }

  async add(step: TreeStep, start: WalkStart, places: TargetPlaces): Promise<void> {
    if (step.kind === "leave") return;
    const isStart = step.path.length === start.path.length;
    if (step.kind === "problem") {
      this.#tally.addProblem(step.path, step.error);
      return;
    }
    const place = places.enter(step.path, step.stat.node);
    if (place.renamed) this.#tally.addRenamed(step.path, place.path);
    try {
      await this.#entry(step.path, step.stat, place.path);
    } catch (error) {
      if (isStart || !isOwnFault(error)) throw error;
      this.#tally.addProblem(step.path, error);
    }
  }

  async #entry(path: readonly string[], stat: FileStat, place: readonly string[]): Promise<void> {
    const { counts } = this.#tally;
    switch (stat.kind) {
      case "directory":
        counts.directories += 1;
        if (place.length > 0)
          await this.#archive.addDirectory(place, this.#facts(stat), await this.#attributes(path, stat));
        return;
      case "file":
        await this.#file(path, stat, place);
        return;
      case "link":
        await this.#archive.addLink(place, await this.#fs.readLink(stat.node, this.#signal), this.#facts(stat));
        counts.links += 1;
        return;
      case "character-device":
      case "block-device":
      case "fifo":
      case "socket":
      case "other":
        this.#tally.addSpecial(path, stat);
        return;
      default:
        stat.kind satisfies never;
    }
  }

  async #file(path: readonly string[], stat: FileStat, place: readonly string[]): Promise<void> {
    const { node, sizeBytes } = stat;
    const first = this.#hardLinked.get(node);
    if (first !== undefined) {
      await this.#archive.addHardLink(place, first, this.#facts(stat));
      this.#tally.counts.hardLinks += 1;
      return;
    }
    const pieces = this.#fs.read(node, { offset: 0, length: sizeBytes }, this.#signal)[Symbol.asyncIterator]();
    try {
      // What cannot be read at all fails here, before its entry is begun.
      const begin = await pieces.next();
      const attributes = await this.#attributes(path, stat);
      const content = this.#exactly(path, sizeBytes, begin, pieces);
      await this.#archive.addFile(place, sizeBytes, content, this.#facts(stat), attributes);
    } finally {
      await pieces.return?.();
    }
    this.#tally.counts.files += 1;
    if (!this.#options.preserveSpecial) this.#tally.addDropped(path, stat);
    const several = stat.links > 1 && this.#archive.holds.hardLinks;
    if (several && this.#hardLinked.size < maxHardLinked) this.#hardLinked.set(node, place);
  }

  async *#exactly(
    path: readonly string[],
    sizeBytes: number,
    begin: IteratorResult<FilePiece, unknown>,
    pieces: AsyncIterator<FilePiece, unknown>,
  ): AsyncGenerator<FilePiece, void, undefined> {
    let at = 0;
    try {
      for (let next = begin; next.done !== true; next = await pieces.next()) {
        if (at + next.value.length > sizeBytes) throw new FarsideError("internal", "A file is longer than it says.");
        yield next.value;
        at += next.value.length;
        this.#tally.counts.bytes += next.value.length;
        this.#options.onProgress(this.#tally.counts);
      }
      if (at < sizeBytes) throw new FarsideError("internal", "A file is shorter than it says.");
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      const message = `${error.message} In the archive zeros stand for its bytes ${at} to ${sizeBytes - 1}.`;
      this.#tally.addProblem(path, new FarsideError(error.code, message, { cause: error, details: error.details }));
    }
    if (at < sizeBytes) yield { kind: "zero", offset: at, length: sizeBytes - at };
  }

  async #attributes(path: readonly string[], { node }: FileStat): Promise<Attributes> {
    if (!this.#archive.holds.attributes) return none;
    try {
      return await this.#fs.attributes(node, this.#signal);
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      this.#tally.addProblem(path, error);
      return none;
    }
  }

  #facts({ mode, uid, gid, modifiedNs }: FileStat): ArchiveFacts {
    return { mode: this.#options.preserveSpecial ? mode : mode & 0o1777, uid, gid, modifiedNs };
  }
}
