/**
 * Walks a folder of an image, depth first, as a stream.
 *
 * 1. Every directory is entered once: an image whose directories hold each other (a loop, or a thousand names of one) ends all the same.
 * 2. What is wrong with one thing is a step of its own, and the walk goes on beside it.
 * 3. Memory: one open directory for each level, at most `maxDepth`, and eight to sixteen bytes for each directory seen.
 */
import { FarsideError } from "../../core/errors.ts";
import { imageCorrupt } from "../../images/image-errors.ts";
import type { DirectoryEntry, FileStat, FileSystem, NodeId } from "../../ports/file-system.ts";
import { isOwnFault } from "./file-problem.ts";
import { sortedEntries, SortBudget } from "./sorted-entries.ts";

export type TreeStep =
  /** A directory's step comes before those of what is in it. */
  | { readonly kind: "node"; readonly path: readonly string[]; readonly stat: FileStat }
  /** A directory and all that is in it is done. */
  | { readonly kind: "leave"; readonly path: readonly string[]; readonly stat: FileStat }
  | { readonly kind: "problem"; readonly path: readonly string[]; readonly error: FarsideError };

export interface WalkStart {
  readonly path: readonly string[];
  readonly stat: FileStat;
}

export interface WalkOptions {
  /** Names of a directory in order, as far as memory goes; else as the disk has them. */
  readonly sorted?: boolean;
  /** Levels below the start that are entered; all where left out. */
  readonly levels?: number;
}

/** PATH_MAX of Linux' limits.h, 4,096 bytes, allows 2,048 levels; trees made by relative steps go deeper. */
const maxDepth = 4096;
/** V8 holds 2^24 values in one Set. */
const maxDirectories = 8_000_000;

interface Level {
  readonly path: readonly string[];
  readonly stat: FileStat;
  readonly entries: AsyncIterator<DirectoryEntry, unknown>;
}

export async function* walkTree(
  fs: FileSystem,
  start: WalkStart,
  signal: AbortSignal,
  options: WalkOptions = {},
): AsyncGenerator<TreeStep, void, undefined> {
  const levels: Level[] = [];
  const seen = new Set<NodeId>();
  const budget = new SortBudget();
  const open = (path: readonly string[], stat: FileStat): void => {
    seen.add(stat.node);
    const listed = fs.list(stat.node, signal);
    const entries = options.sorted === true ? sortedEntries(listed, budget) : listed;
    levels.push({ path, stat, entries: entries[Symbol.asyncIterator]() });
  };
  try {
    yield { kind: "node", path: start.path, stat: start.stat };
    if (start.stat.kind !== "directory") return;
    open(start.path, start.stat);
    for (let level = levels.at(-1); level !== undefined; level = levels.at(-1)) {
      signal.throwIfAborted();
      const next = await nextEntry(level);
      if (next.kind === "problem") yield { ...next, path: level.path };
      if (next.kind !== "entry") {
        levels.pop();
        yield { kind: "leave", path: level.path, stat: level.stat };
        continue;
      }
      const path = [...level.path, next.entry.name];
      const step = await look(fs, path, next.entry, signal);
      yield step;
      if (step.kind !== "node" || step.stat.kind !== "directory") continue;
      if (levels.length > (options.levels ?? Infinity)) continue;
      const refusal = refuseEntering(step.stat, seen, levels.length);
      if (refusal === undefined) open(path, step.stat);
      else {
        yield { kind: "problem", path, error: refusal };
        yield { kind: "leave", path, stat: step.stat };
      }
    }
  } finally {
    for (const level of levels.toReversed()) await level.entries.return?.();
  }
}

type Next =
  | { readonly kind: "entry"; readonly entry: DirectoryEntry }
  | { readonly kind: "end" }
  | { readonly kind: "problem"; readonly error: FarsideError };

async function nextEntry({ entries }: Level): Promise<Next> {
  try {
    const next = await entries.next();
    return next.done === true ? { kind: "end" } : { kind: "entry", entry: next.value };
  } catch (error) {
    if (isOwnFault(error)) return { kind: "problem", error };
    throw error;
  }
}

async function look(
  fs: FileSystem,
  path: readonly string[],
  { name, node }: DirectoryEntry,
  signal: AbortSignal,
): Promise<TreeStep> {
  try {
    refuseName(name);
    return { kind: "node", path, stat: await fs.stat(node, signal) };
  } catch (error) {
    if (isOwnFault(error)) return { kind: "problem", path, error };
    throw error;
  }
}

/** The port promises that no reader gives such a name; what is taken out rests on it, so it is looked at again. */
function refuseName(name: string): void {
  if (name !== "" && name !== "." && name !== ".." && !/[/\0]/.test(name)) return;
  throw imageCorrupt("directory", "an entry has a name that no file can have");
}

function refuseEntering(stat: FileStat, seen: ReadonlySet<NodeId>, depth: number): FarsideError | undefined {
  if (seen.has(stat.node)) return imageCorrupt(`directory ${stat.node}`, "it has more than one place in the tree");
  if (depth >= maxDepth) {
    return new FarsideError("not-supported", `The directory lies more than ${maxDepth} levels deep: name it itself.`);
  }
  if (seen.size >= maxDirectories) {
    return new FarsideError(
      "not-supported",
      `There are more than ${maxDirectories} directories: name a smaller folder.`,
    );
  }
  return undefined;
}
