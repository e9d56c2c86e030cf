/**
 * Finds what a path names inside an image, as the kernel would: symbolic links are followed inside the image only, absolute ones from
 * its root, and `..` never leads above it.
 */
import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { FileStat, FileSystem, NodeId } from "../../ports/file-system.ts";
import { pathText } from "./file-problem.ts";

export interface ResolvedPath {
  readonly node: NodeId;
  readonly stat: FileStat;
  /** Without links; empty for the root. */
  readonly path: readonly string[];
}

/** MAXSYMLINKS of Linux' include/linux/namei.h. */
const maxLinks = 40;
/** PATH_MAX of Linux' limits.h allows 2,048 names of one letter; with links in between, a few times that. */
const maxNames = 16_384;
const maxPathLetters = 1024 * 1024;

interface Step {
  readonly name: string;
  readonly node: NodeId;
}

/**
 * Throws `not-found` where it leads to nothing, `bad-input` for a loop of links and for a link that leads to a drive by its letter,
 * which the image does not tell; and what the file system throws. `followLast` false: a link at the end is the result itself.
 */
export async function resolvePath(
  fs: FileSystem,
  path: string,
  signal: AbortSignal,
  { followLast = true }: { readonly followLast?: boolean } = {},
): Promise<ResolvedPath> {
  refuseLong(path, path.length > maxPathLetters);
  const pending = namesOf(path).toReversed();
  const place: Step[] = [];
  let links = 0;
  for (let steps = 0; pending.length > 0; steps++) {
    refuseLong(path, steps > maxNames || pending.length > maxNames);
    signal.throwIfAborted();
    const name = pending.pop() ?? "";
    if (name === "..") {
      place.pop();
      continue;
    }
    const found = await enter(fs, place, name, path, signal);
    const last = pending.length === 0;
    if (found.kind !== "link" || (last && !followLast)) {
      place.push({ name: found.name, node: found.node });
      continue;
    }
    links += 1;
    if (links > maxLinks) {
      throw new FarsideError("bad-input", `The path ${quote(path)} leads through more than ${maxLinks} links.`);
    }
    const here = [...place.map((step) => step.name), found.name];
    const target = linkTarget(fs, pathText(here), await fs.readLink(found.node, signal));
    if (target.absolute) place.length = 0;
    pending.push(...target.names.toReversed());
  }
  const node = place.at(-1)?.node ?? fs.root;
  return { node, stat: await fs.stat(node, signal), path: place.map((step) => step.name) };
}

async function enter(
  fs: FileSystem,
  place: readonly Step[],
  name: string,
  path: string,
  signal: AbortSignal,
): Promise<{ readonly name: string; readonly node: NodeId; readonly kind: string }> {
  const directory = place.at(-1)?.node ?? fs.root;
  const above = pathText(place.map((step) => step.name));
  const { kind } = await fs.stat(directory, signal);
  if (kind !== "directory") {
    throw notFound(path, `${quote(above)} is a ${kind}, no directory`);
  }
  const entry = await fs.lookup(directory, name, signal);
  if (entry === undefined) throw notFound(path, `${quote(above)} has no ${quote(name)}`);
  return { name: entry.name, node: entry.node, kind: entry.kind ?? (await fs.stat(entry.node, signal)).kind };
}

function linkTarget(
  { facts }: FileSystem,
  link: string,
  text: string,
): { readonly absolute: boolean; readonly names: string[] } {
  refuseLong(link, text.length > maxPathLetters);
  if (facts.type !== "ntfs") return { absolute: text.startsWith("/"), names: namesOf(text) };
  // "\??\C:\x" is how the Windows kernel writes "C:\x", "\\?\" how programs do.
  const plain = text.replace(/^(?:\\\?\?|\\\\\?)\\/, "");
  if (/^[a-z]:|^volume\{|^\\\\/i.test(plain)) {
    throw new FarsideError(
      "bad-input",
      `The link ${quote(link)} leads to ${quote(text)}: which volume that is, the image does not tell. Give the path there itself.`,
      { details: { link, target: text } },
    );
  }
  return { absolute: /^[\\/]/.test(plain), names: namesOf(plain.replaceAll("\\", "/")) };
}

/** Without the empty ones and ".". */
function namesOf(path: string): string[] {
  return path.split("/").filter((name) => name !== "" && name !== ".");
}

function notFound(path: string, why: string): FarsideError {
  return new FarsideError("not-found", `There is no ${quote(path)} here: ${why}.`, { details: { path } });
}

function refuseLong(path: string, tooLong: boolean): void {
  if (tooLong) throw new FarsideError("bad-input", `The path ${quote(path)} is too long.`);
}
