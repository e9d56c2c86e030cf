import type { FileStat, FileSystem } from "../../ports/file-system.ts";
import type { FileProblem } from "./file-problem.ts";
import { fileProblem, isOwnFault } from "./file-problem.ts";
import type { FileRow } from "./file-row.ts";
import { fileRow } from "./file-row.ts";
import { resolvePath } from "./resolve-path.ts";
import { walkTree } from "./walk-tree.ts";

export type Listed =
  | { readonly kind: "row"; readonly row: FileRow }
  | { readonly kind: "problem"; readonly problem: FileProblem };

/**
 * What is in the folder that `path` names, or the one thing itself where it is no folder; with `recursive` all that lies below. By
 * name, as far as memory goes. Throws as `resolvePath`.
 */
export async function* listFiles(
  fs: FileSystem,
  path: string,
  options: { readonly recursive: boolean },
  signal: AbortSignal,
): AsyncGenerator<Listed, void, undefined> {
  const start = await resolvePath(fs, path, signal);
  const levels = options.recursive ? {} : { levels: 0 };
  for await (const step of walkTree(fs, start, signal, { sorted: true, ...levels })) {
    if (step.kind === "leave") continue;
    if (step.kind === "problem") {
      yield { kind: "problem", problem: fileProblem(step.path, step.error) };
      continue;
    }
    const isStart = step.path.length === start.path.length;
    if (isStart && step.stat.kind === "directory") continue;
    yield await listed(fs, step.path, step.stat, signal);
  }
}

async function listed(fs: FileSystem, path: readonly string[], stat: FileStat, signal: AbortSignal): Promise<Listed> {
  if (stat.kind !== "link") return { kind: "row", row: fileRow(path, stat) };
  try {
    return { kind: "row", row: fileRow(path, stat, await fs.readLink(stat.node, signal)) };
  } catch (error) {
    if (isOwnFault(error)) return { kind: "problem", problem: fileProblem(path, error) };
    throw error;
  }
}
