import type { FarsideError } from "../../core/errors.ts";
import { glob } from "../../core/files/glob.ts";
import type { FileStat, FileSystem } from "../../ports/file-system.ts";
import { fileProblem } from "./file-problem.ts";
import { fileRow } from "./file-row.ts";
import type { Listed } from "./list-files.ts";
import { walkTree } from "./walk-tree.ts";

export interface FindQuery {
  /** Of the name; where it holds a `/`, of the path from the volume's root. */
  readonly pattern: string;
  readonly ignoreCase: boolean;
  readonly kind?: "file" | "directory" | "link";
  /** Modified after this instant, in nanoseconds since 1970-01-01 UTC. */
  readonly newerThanNs?: bigint;
  /** Longer than so many bytes. */
  readonly largerThanBytes?: number;
}

/** All that fits, as it is found. Throws `bad-input` for a pattern that cannot be read. */
export async function* findFiles(
  fs: FileSystem,
  query: FindQuery,
  signal: AbortSignal,
): AsyncGenerator<Listed, void, undefined> {
  const byPath = query.pattern.includes("/");
  const matches = glob(query.pattern.replace(/^\/+/, ""), query);
  const start = { path: [], stat: await fs.stat(fs.root, signal) };
  for await (const step of walkTree(fs, start, signal)) {
    if (step.kind === "problem") yield told(step.path, step.error);
    if (step.kind !== "node" || step.path.length === 0) continue;
    const text = byPath ? step.path.join("/") : (step.path.at(-1) ?? "");
    if (fits(step.stat, query) && matches(text)) yield { kind: "row", row: fileRow(step.path, step.stat) };
  }
}

function told(path: readonly string[], error: FarsideError): Listed {
  return { kind: "problem", problem: fileProblem(path, error) };
}

function fits(stat: FileStat, { kind, newerThanNs, largerThanBytes }: FindQuery): boolean {
  if (kind !== undefined && stat.kind !== kind) return false;
  if (newerThanNs !== undefined && stat.modifiedNs <= newerThanNs) return false;
  return largerThanBytes === undefined || stat.sizeBytes > largerThanBytes;
}
