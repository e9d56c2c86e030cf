/**
 * In which restore points a file differs, from chunk ids alone: the file systems' metadata is read, the file's content is not, unless
 * it lies in the metadata or is compressed, or `readData` asks for it.
 */
import { fileTimeText } from "../../core/files/file-time.ts";
import { hasCode } from "../../core/errors.ts";
import type { ErrorCode } from "../../core/errors.ts";
import type { PointId } from "../../core/ids.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import type { BlockDevice } from "../../ports/block-device.ts";
import type { FileKind, FileStat, FileSystem, FileSystemState } from "../../ports/file-system.ts";
import type { ContentDigest } from "./content-digest.ts";
import { byteDigest, contentDigest } from "./content-digest.ts";
import { isOwnFault } from "./file-problem.ts";
import { resolvePath } from "./resolve-path.ts";

/**
 * Against the last restore point before that has the file. `maybe`: size and time are the same and the chunks are not, which other
 * bytes in the same chunks can do too. `absent`: it is not there. `unreadable`: nothing can be said; `error` tells why.
 */
export type VersionResult = "first" | "same" | "maybe" | "changed" | "absent" | "unreadable";

export interface FileVersion {
  readonly restorePointId: PointId;
  readonly snapshotAt: Timestamp;
  readonly result: VersionResult;
  readonly kind?: FileKind;
  readonly sizeBytes?: number;
  readonly modifiedAt?: string;
  readonly node?: number;
  /** Bytes of content that had to be read. */
  readonly readBytes?: number;
  readonly note?: string;
  readonly error?: { readonly code: ErrorCode; readonly message: string };
}

/** A restore point whose volume can be opened: `open` throws `not-found` where it has no such volume. */
export interface VersionPoint {
  readonly restorePointId: PointId;
  readonly snapshotAt: Timestamp;
  readonly open: () => Promise<OpenedVolume>;
}

export interface OpenedVolume {
  /** Of the file, in this volume. */
  readonly path: string;
  readonly fs: FileSystem;
  /** What the file system lies on. */
  readonly device: BlockDevice;
}

/** A row for each point, in their order. Throws only what is no fault of a point: an interruption, the network. */
export async function* fileVersions(
  points: AsyncIterable<VersionPoint>,
  options: { readonly readData: boolean },
  signal: AbortSignal,
): AsyncGenerator<FileVersion, void, undefined> {
  let before: Seen | undefined;
  for await (const point of points) {
    const { restorePointId, snapshotAt } = point;
    const looked = await look(point, signal);
    if ("result" in looked) {
      yield { restorePointId, snapshotAt, ...looked };
      continue;
    }
    const { stat } = looked;
    const compared = await compare(before, looked, options.readData, signal);
    const modifiedAt = fileTimeText(stat.modifiedNs);
    yield {
      restorePointId,
      snapshotAt,
      kind: stat.kind,
      sizeBytes: stat.sizeBytes,
      node: stat.node,
      ...(modifiedAt === undefined ? {} : { modifiedAt }),
      ...compared,
      ...noteOf(looked.volume.fs.facts.state, compared.note),
    };
    if (compared.result !== "unreadable") before = looked;
  }
}

/** Of a volume that was in use, what is compared may be old or torn: never silently. */
function noteOf(state: FileSystemState, note: string | undefined): Pick<FileVersion, "note"> {
  if (state.kind !== "dirty") return {};
  const dirty = `DIRTY, may be old or torn: ${state.note}`;
  return { note: note === undefined ? dirty : `${note}; ${dirty}` };
}

interface Seen {
  readonly volume: OpenedVolume;
  readonly stat: FileStat;
  readonly content: ContentDigest;
  /** Of the bytes, where they were read. */
  bytes?: string;
}

type Told = Pick<FileVersion, "result" | "note" | "readBytes" | "error">;

async function look(point: VersionPoint, signal: AbortSignal): Promise<Seen | Told> {
  try {
    const volume = await point.open();
    const { stat } = await resolvePath(volume.fs, volume.path, signal);
    return { volume, stat, content: await contentOf(volume, stat, signal) };
  } catch (error) {
    if (hasCode(error, "not-found")) return { result: "absent", note: error.message };
    if (!isOwnFault(error) && !hasCode(error, "bad-input")) throw error;
    return { result: "unreadable", error: { code: error.code, message: error.message } };
  }
}

async function contentOf({ fs, device }: OpenedVolume, stat: FileStat, signal: AbortSignal): Promise<ContentDigest> {
  if (stat.kind === "file") return contentDigest(fs, device, stat, signal);
  return { digest: stat.kind, readBytes: 0 };
}

async function compare(before: Seen | undefined, now: Seen, readData: boolean, signal: AbortSignal): Promise<Told> {
  const read = now.content.readBytes > 0 ? { readBytes: now.content.readBytes } : {};
  if (now.stat.kind === "directory") {
    const note = "a directory: what is in it is not compared";
    return { result: before === undefined ? "first" : before.stat.kind === "directory" ? "same" : "changed", note };
  }
  if (before === undefined) return { result: "first", ...read };
  if (before.stat.kind !== now.stat.kind || before.stat.sizeBytes !== now.stat.sizeBytes) {
    return { result: "changed", ...read };
  }
  if (before.content.digest === now.content.digest) return { result: "same", ...read };
  if (!readData) {
    if (before.stat.modifiedNs !== now.stat.modifiedNs) return { result: "changed", ...read };
    return { result: "maybe", ...read, note: "size and time are the same, the chunks are not: --read-data tells" };
  }
  try {
    const equal = (await bytesOf(before, signal)) === (await bytesOf(now, signal));
    return { result: equal ? "same" : "changed", readBytes: now.stat.sizeBytes };
  } catch (error) {
    if (!isOwnFault(error)) throw error;
    return { result: "unreadable", error: { code: error.code, message: error.message } };
  }
}

async function bytesOf(seen: Seen, signal: AbortSignal): Promise<string> {
  const { volume, stat } = seen;
  seen.bytes ??= await byteDigest(volume.fs, stat.node, { offset: 0, length: stat.sizeBytes }, signal);
  return seen.bytes;
}
