import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { FileSystem } from "../../ports/file-system.ts";
import { resolvePath } from "./resolve-path.ts";

const zeroStepBytes = 64 * 1024;
const zeros = new Uint8Array(zeroStepBytes);

/**
 * A file's bytes from `offset`, at most `length`, in pieces of at most 1 MiB that are never changed. Throws as `resolvePath`, and
 * `bad-input` for what is no file.
 */
export async function* readFile(
  fs: FileSystem,
  path: string,
  range: { readonly offset?: number; readonly length?: number },
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { node, stat } = await resolvePath(fs, path, signal);
  if (stat.kind !== "file") {
    const hint = stat.kind === "directory" ? ': list it with "farside ls", or take it out with "farside get"' : "";
    throw new FarsideError("bad-input", `${quote(path)} is a ${stat.kind}, no file${hint}.`);
  }
  const offset = Math.min(range.offset ?? 0, stat.sizeBytes);
  const length = Math.min(range.length ?? Infinity, stat.sizeBytes - offset);
  if (length === 0) return;
  for await (const piece of fs.read(node, { offset, length }, signal)) {
    if (piece.kind === "data") yield piece.content;
    else
      for (let left = piece.length; left > 0; left -= zeroStepBytes)
        yield zeros.subarray(0, Math.min(left, zeroStepBytes));
  }
}
