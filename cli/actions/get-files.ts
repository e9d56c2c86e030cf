import { openArchive, openExtraction } from "../../shared/compose/extraction.ts";
import { counted } from "../../shared/core/counted.ts";
import { FarsideError } from "../../shared/core/errors.ts";
import { quote } from "../../shared/core/ids.ts";
import { archiveFiles } from "../../shared/operations/files/archive-files.ts";
import type { ResolvedPath } from "../../shared/operations/files/resolve-path.ts";
import { resolvePath } from "../../shared/operations/files/resolve-path.ts";
import { takeFiles } from "../../shared/operations/files/take-files.ts";
import type { TakeReport } from "../../shared/operations/files/take-report.ts";
import type { FileSystem } from "../../shared/ports/file-system.ts";
import { FileProblems } from "../file-problems.ts";
import { formatBytes, printable, printableName } from "../format.ts";
import { neededPath } from "../image-path.ts";
import { withImage } from "../open-image.ts";
import { TakeProgress } from "../take-progress.ts";
import type { Verb } from "../verb.ts";

export interface GetFlags {
  readonly tar?: true;
  readonly zip?: true;
  readonly overwrite?: true;
  readonly owners?: true;
  readonly xattrs?: true;
  readonly preserveSpecial?: true;
}

interface Source extends ResolvedPath {
  /** The last name as it was typed; undefined for the root of the volume. */
  readonly name: string | undefined;
}

export async function get(verb: Verb, text: string, dest: string | undefined, flags: GetFlags): Promise<number> {
  const archive = flags.tar === true ? "tar" : flags.zip === true ? "zip" : undefined;
  refuseTogether(verb, dest, flags, archive !== undefined);
  return withImage(verb, text, async ({ fs, volume, rest }) => {
    const typed = neededPath(rest, volume);
    const found = await resolvePath(fs, typed, verb.signal);
    if (found.stat.kind !== "file" && found.stat.kind !== "directory") {
      throw new FarsideError(
        "bad-input",
        `${quote(typed)} is a ${found.stat.kind}: only files and folders are taken out.`,
      );
    }
    const source = { ...found, name: nameOf(typed, found) };
    if (archive === undefined) return toFolder(verb, fs, source, dest ?? ".", flags);
    return toArchive(verb, fs, source, archive, flags);
  });
}

async function toFolder(
  verb: Verb,
  fs: FileSystem,
  source: Source,
  destination: string,
  flags: GetFlags,
): Promise<number> {
  const preserveSpecial = flags.preserveSpecial === true;
  const { target, as, path } = await openExtraction({
    destination,
    cwd: verb.shell.cwd,
    name: source.name,
    node: source.node,
    isDirectory: source.stat.kind === "directory",
    overwrite: flags.overwrite === true,
    owners: flags.owners === true,
    preserveSpecial,
  });
  const progress = new TakeProgress(verb.output);
  try {
    const options = {
      as,
      preserveSpecial,
      attributes: flags.xattrs === true,
      onProgress: progress.show,
    };
    const report = await takeFiles(fs, source, target, options, verb.signal);
    progress.end();
    const exitCode = tell(verb, report);
    verb.output.done({ path, ...report }, `Took out ${summary(report)} to ${printableName(path)}.`);
    return exitCode;
  } finally {
    progress.end();
  }
}

async function toArchive(
  verb: Verb,
  fs: FileSystem,
  source: Source,
  kind: "tar" | "zip",
  flags: GetFlags,
): Promise<number> {
  const as = source.name === undefined ? [] : [source.name];
  const progress = new TakeProgress(verb.output);
  try {
    const options = { as, preserveSpecial: flags.preserveSpecial === true, onProgress: progress.show };
    const report = await archiveFiles(fs, source, openArchive(kind, verb.shell.write), options, verb.signal);
    progress.end();
    const exitCode = tell(verb, report);
    verb.output.note(`Wrote ${summary(report)} as ${kind}.`);
    return exitCode;
  } finally {
    progress.end();
  }
}

/** Problems on standard error always, what was renamed or left out unless --quiet. */
function tell(verb: Verb, { renamed, skipped, problems, vaultDamaged }: TakeReport): number {
  const told = new FileProblems(verb);
  if (vaultDamaged) told.count(true);
  for (const problem of problems.items) told.add(problem);
  if (problems.untold > 0) verb.shell.err(`farside: … and ${problems.untold} more problems.\n`);
  for (const { path, as } of renamed.items)
    verb.output.note(`renamed ${printableName(path)}: it is ${printableName(as)}`);
  for (const { path, reason } of skipped.items)
    verb.output.note(`left out ${printableName(path)}: ${printable(reason)}`);
  if (renamed.untold + skipped.untold > 0) {
    verb.output.note(`… and ${renamed.untold} more renamed, ${skipped.untold} more left out.`);
  }
  return told.exitCode;
}

function summary({ files, hardLinks, directories, links, bytes, problems, skipped, renamed }: TakeReport): string {
  const parts = [
    `${counted(files + hardLinks, "file")} (${formatBytes(bytes)})`,
    ...(directories > 0 ? [counted(directories, "folder")] : []),
    ...(links > 0 ? [counted(links, "link")] : []),
    ...(renamed.items.length > 0 ? [`${renamed.items.length + renamed.untold} renamed`] : []),
    ...(skipped.items.length > 0 ? [`${skipped.items.length + skipped.untold} left out`] : []),
    ...(problems.items.length > 0 ? [`${problems.items.length + problems.untold} FAILED`] : []),
  ];
  return parts.join(", ");
}

/** As typed, so that a link's own name is kept; the real one where the path ends in "..". */
function nameOf(typed: string, { path }: ResolvedPath): string | undefined {
  if (path.length === 0) return undefined;
  const last = typed.split("/").findLast((name) => name !== "" && name !== ".");
  return last === undefined || last === ".." ? path.at(-1) : last;
}

function refuseTogether(verb: Verb, dest: string | undefined, flags: GetFlags, isArchive: boolean): void {
  const refuse = (what: string): never => {
    throw new FarsideError("bad-input", what);
  };
  if (isArchive) {
    if (verb.output.json) refuse("--tar and --zip write the archive to standard output: leave --json out.");
    if (dest !== undefined) refuse("--tar and --zip write to standard output: leave the destination out.");
    if (flags.overwrite ?? flags.owners ?? flags.xattrs) {
      refuse(
        "--overwrite, --owners and --xattrs belong to a destination: a tar archive has owners and attributes anyway.",
      );
    }
  }
  if (flags.owners === true && process.getuid?.() !== 0) {
    refuse("--owners needs root: leave it out, and the files belong to you.");
  }
}
