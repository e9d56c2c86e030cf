/**
 * An archive that is written as a stream: what is added goes out at once, and the next thing waits until it is taken.
 *
 * Paths are relative and name by name, none of them `..`; names are as `decodeFileName` gives them,
 * already fit for `names`.
 */
import type { TargetNames } from "../core/files/target-name.ts";
import type { FilePiece } from "./file-system.ts";

export interface ArchiveFacts {
  /** 0 to 0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly modifiedNs: bigint;
}

export interface ArchiveWriter {
  /** Which of these it can hold; without hard links a file comes once for each name. */
  readonly holds: { readonly hardLinks: boolean; readonly attributes: boolean };
  readonly names: TargetNames;
  addDirectory(path: readonly string[], facts: ArchiveFacts, attributes: Attributes): Promise<void>;
  /** `pieces` cover `sizeBytes` exactly. */
  addFile(
    path: readonly string[],
    sizeBytes: number,
    pieces: AsyncIterable<FilePiece>,
    facts: ArchiveFacts,
    attributes: Attributes,
  ): Promise<void>;
  addHardLink(path: readonly string[], existing: readonly string[], facts: ArchiveFacts): Promise<void>;
  addLink(path: readonly string[], text: string, facts: ArchiveFacts): Promise<void>;
  /** Once, at the end. */
  end(): Promise<void>;
}

export type Attributes = ReadonlyMap<string, Uint8Array>;

/** Resolves when more may come. The bytes belong to it until then. */
export type ByteSink = (bytes: Uint8Array) => Promise<void>;
