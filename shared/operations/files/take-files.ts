/**
 * Takes a file or a folder out of an image, into a folder of this machine.
 *
 * 1. Two walks of the same tree, which does not change: the first makes directories and files, the second makes links and gives
 *    directories their modes and times. No link of the image stands while anything is written.
 * 2. What is wrong with one thing is listed and the rest goes on; devices, fifos and sockets are listed and never made.
 */
import type { ErrorCode } from "../../core/errors.ts";
import { hasCode } from "../../core/errors.ts";
import type { ExtractionTarget, TargetPath } from "../../ports/extraction-target.ts";
import type { FilePiece, FileStat, FileSystem, NodeId } from "../../ports/file-system.ts";
import { isOwnFault } from "./file-problem.ts";
import type { TakeCounts, TakeReport } from "./take-report.ts";
import { TakeTally } from "./take-report.ts";
import { TargetPlaces } from "./target-places.ts";
import type { TreeStep, WalkStart } from "./walk-tree.ts";
import { walkTree } from "./walk-tree.ts";

export interface TakeOptions {
  /** The name that the file or folder gets; empty where the folder's content goes into the target itself. */
  readonly as: TargetPath;
  /** Extended attributes too. */
  readonly attributes: boolean;
  readonly preserveSpecial: boolean;
  readonly onProgress: (done: TakeCounts) => void;
}

/** Files with several names that are remembered; further ones become files of their own. About 200 bytes each. */
const maxHardLinked = 500_000;
/** Small files that are fetched and written at one time: each alone would wait for the vault and for the disk in turn. */
const smallAtOnce = 8;
const smallBytes = 4 * 1024 * 1024;
/** What a target says of one thing while others can be made. */
const targetFaults: readonly ErrorCode[] = ["target-exists", "bad-input", "forbidden"];

/** Throws where the start itself cannot be taken out: `target-exists`, or what is wrong with it. */
export async function takeFiles(
  fs: FileSystem,
  start: WalkStart,
  target: ExtractionTarget,
  options: TakeOptions,
  signal: AbortSignal,
): Promise<TakeReport> {
  const taking = new Taking(fs, target, options, signal);
  await taking.walk(start, "content");
  await taking.flush();
  await taking.walk(start, "links");
  await taking.flush();
  return taking.report;
}

type Pass = "content" | "links";
type Standing = Exclude<TreeStep, { kind: "problem" }>;

class Taking {
  readonly #fs: FileSystem;
  readonly #target: ExtractionTarget;
  readonly #options: TakeOptions;
  readonly #signal: AbortSignal;
  readonly #tally = new TakeTally();
  readonly #hardLinked = new Map<NodeId, TargetPath>();
  /** Directories that could not be made: nothing below them is touched, in either walk. */
  readonly #lost = new Set<NodeId>();
  /** The small files under way. */
  readonly #small = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  constructor(fs: FileSystem, target: ExtractionTarget, options: TakeOptions, signal: AbortSignal) {
    this.#fs = fs;
    this.#target = target;
    this.#options = options;
    this.#signal = signal;
  }

  get report(): TakeReport {
    return this.#tally.report;
  }

  async walk(start: WalkStart, pass: Pass): Promise<void> {
    try {
      await this.#walk(start, pass);
    } finally {
      await Promise.all(this.#small);
    }
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  async #walk(start: WalkStart, pass: Pass): Promise<void> {
    const places = new TargetPlaces(this.#target.names, this.#options.as, start.path.length);
    let lostDepth = Infinity;
    for await (const step of walkTree(this.#fs, start, this.#signal)) {
      const depth = step.path.length;
      if (depth > lostDepth) continue;
      if (step.kind === "leave" && depth === lostDepth) {
        lostDepth = Infinity;
        continue;
      }
      const isStart = depth === start.path.length;
      if (step.kind === "problem") {
        if (isStart && start.stat.kind !== "directory") throw step.error;
        // The second walk meets the same ones again.
        if (pass === "content") this.#tally.addProblem(step.path, step.error);
        continue;
      }
      if (this.#failure !== undefined) return;
      await this.#take(step, places, pass, isStart);
      if (step.kind === "node" && this.#lost.has(step.stat.node)) lostDepth = depth;
    }
  }

  async flush(): Promise<void> {
    for (const reason of await this.#target.flushAttributes()) this.#tally.addSkipped([], reason);
  }

  async #take(step: Standing, places: TargetPlaces, pass: Pass, isStart: boolean): Promise<void> {
    try {
      if (step.kind === "leave") {
        if (pass === "links") await this.#finish(step, places.leave(step.path));
        return;
      }
      const place = places.enter(step.path, step.stat.node);
      if (pass === "links") return await this.#link(step, place.path);
      if (place.renamed) this.#tally.addRenamed(step.path, place.path);
      if (isSmall(step.stat) && !isStart) await this.#begin(step, place.path);
      else await this.#content(step, place.path);
    } catch (error) {
      if (isStart) throw error;
      this.#addProblem(step.path, error);
      if (step.stat.kind === "directory") this.#lost.add(step.stat.node);
    }
  }

  /** Waits for room, not for the end. A file with several names is not begun here: the next name must find it written. */
  async #begin(step: Standing, place: TargetPath): Promise<void> {
    while (this.#small.size >= smallAtOnce) await Promise.race(this.#small);
    const done = this.#content(step, place)
      .catch((error: unknown) => this.#addProblem(step.path, error))
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#small.delete(done));
    this.#small.add(done);
  }

  /** Throws again what does not belong to this one thing. */
  #addProblem(path: readonly string[], error: unknown): void {
    if (!isOwnFault(error) && !hasCode(error, ...targetFaults)) throw error;
    this.#tally.addProblem(path, error);
  }

  async #content({ path, stat }: Standing, place: TargetPath): Promise<void> {
    switch (stat.kind) {
      case "directory":
        await this.#target.makeDirectory(place);
        this.#tally.counts.directories += 1;
        return;
      case "file":
        await this.#file(path, stat, place);
        this.#options.onProgress(this.#tally.counts);
        return;
      case "link":
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

  async #file(path: readonly string[], stat: FileStat, place: TargetPath): Promise<void> {
    const { node, sizeBytes } = stat;
    if (await this.#otherName(path, node, place)) return;
    const pieces = this.#counting(this.#fs.read(node, { offset: 0, length: sizeBytes }, this.#signal));
    await this.#target.writeFile(place, sizeBytes, pieces, stat, this.#signal);
    if (stat.links > 1 && this.#hardLinked.size < maxHardLinked) this.#hardLinked.set(node, place);
    this.#tally.counts.files += 1;
    if (!this.#options.preserveSpecial) this.#tally.addDropped(path, stat);
    await this.#attributes(path, node, place);
  }

  /** Whether the file is there already and has this name too by now. */
  async #otherName(path: readonly string[], node: NodeId, place: TargetPath): Promise<boolean> {
    const first = this.#hardLinked.get(node);
    if (first === undefined) return false;
    try {
      await this.#target.makeHardLink(place, first);
      this.#tally.counts.hardLinks += 1;
      return true;
    } catch (error) {
      if (!hasCode(error, "not-supported")) throw error;
      this.#tally.addSkipped(path, "its tie to its other names, which cannot be made here: it is a file of its own");
      return false;
    }
  }

  async #link({ stat }: Standing, place: TargetPath): Promise<void> {
    if (stat.kind !== "link") return;
    await this.#target.makeLink(place, await this.#fs.readLink(stat.node, this.#signal), stat);
    this.#tally.counts.links += 1;
  }

  async #finish({ path, stat }: Standing, place: TargetPath): Promise<void> {
    await this.#attributes(path, stat.node, place);
    await this.#target.finishDirectory(place, stat);
  }

  async #attributes(path: readonly string[], node: NodeId, place: TargetPath): Promise<void> {
    if (!this.#options.attributes) return;
    try {
      const attributes = await this.#fs.attributes(node, this.#signal);
      if (attributes.size > 0) await this.#target.setAttributes(place, attributes);
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      this.#tally.addProblem(path, error);
    }
  }

  async *#counting(pieces: AsyncIterable<FilePiece>): AsyncGenerator<FilePiece, void, undefined> {
    for await (const piece of pieces) {
      yield piece;
      this.#tally.counts.bytes += piece.length;
      this.#options.onProgress(this.#tally.counts);
    }
  }
}

function isSmall({ kind, links, sizeBytes }: FileStat): boolean {
  return kind === "file" && links === 1 && sizeBytes <= smallBytes;
}
