/**
 * A folder that files of an image are taken out to.
 *
 * 1. Nothing is ever written outside of it, whatever names, links and order the image has: a path is a list of names, none of them
 *    `..`, and no link that stands in the folder is followed, be it the image's or of before.
 * 2. A file appears under its name only when all of it is there.
 * 3. What exists is not replaced, unless the target was opened to overwrite; then files replace files and links, and nothing replaces a
 *    directory. Refusals are `target-exists`.
 * 4. Only files, directories, hard links and symbolic links can be made: there is no way to ask for anything else.
 *
 * Names are as `decodeFileName` gives them, already fit for `names`. A directory is made before what is in it; its mode and times come
 * last, by `finishDirectory`, since what is written into it would change them.
 */
import type { TargetNames } from "../core/files/target-name.ts";
import type { FilePiece } from "./file-system.ts";

/** From the folder; empty for the folder itself. */
export type TargetPath = readonly string[];

export interface TargetFacts {
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedNs: bigint;
}

export interface ExtractionTarget {
  readonly names: TargetNames;
  /** Only its owner may enter it until it is finished. */
  makeDirectory(path: TargetPath): Promise<void>;
  /** `pieces` cover `sizeBytes` without a gap; zeros are not written. What `pieces` throws is thrown, and leaves nothing behind. */
  writeFile(
    path: TargetPath,
    sizeBytes: number,
    pieces: AsyncIterable<FilePiece>,
    facts: TargetFacts,
    signal: AbortSignal,
  ): Promise<void>;
  /** Another name of a file that was written before. Throws `not-supported` where the target cannot: then it is to be written again. */
  makeHardLink(path: TargetPath, existing: TargetPath): Promise<void>;
  /** As it stands, wherever it leads: nothing is ever written through it. */
  makeLink(path: TargetPath, text: string, facts: TargetFacts): Promise<void>;
  finishDirectory(path: TargetPath, facts: TargetFacts): Promise<void>;
  /** Extended attributes of a file or directory; they may be set later, all of them once `flushAttributes` is done. */
  setAttributes(path: TargetPath, attributes: ReadonlyMap<string, Uint8Array>): Promise<void>;
  /** What could not be set, a line each. */
  flushAttributes(): Promise<readonly string[]>;
}
