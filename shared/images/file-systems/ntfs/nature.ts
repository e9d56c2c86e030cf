/** What a file record is to its users: a file, a directory, a link, or something whose content cannot be had. */
import type { FileStat } from "../../../ports/file-system.ts";
import { ByteView } from "../../byte-view.ts";
import { decodeUtf16Name } from "../../utf16-name.ts";
import { attributeFlags, attributeTypes } from "./attribute.ts";
import type { NtfsFile } from "./ntfs-file.ts";
import { readMetadata } from "./read-stream.ts";
import type { ReparsePoint } from "./reparse-point.ts";
import {
  isCloudFile,
  linkTarget,
  longestReparsePoint,
  parseReparsePoint,
  reparseTags,
  storedAs,
} from "./reparse-point.ts";
import { fileAttributes } from "./standard-information.ts";
import type { NtfsVolume, Stream } from "./stream.ts";
import type { SystemCompressed } from "./system-compression.ts";
import { compressedStreamName, chunkFormat } from "./system-compression.ts";

export type Nature =
  | { readonly kind: "directory" }
  | { readonly kind: "link"; readonly target: string }
  | { readonly kind: "fifo" | "socket" }
  | { readonly kind: "character-device" | "block-device"; readonly device: FileStat["device"] }
  | { readonly kind: "file"; readonly sizeBytes: number; readonly content: FileContent };

export type FileContent =
  | { readonly kind: "stream"; readonly stream: Stream }
  | { readonly kind: "system-compressed"; readonly file: SystemCompressed }
  /** It never had any. */
  | { readonly kind: "none" }
  /** `what`: as `notSupported` calls it. */
  | { readonly kind: "refused"; readonly what: string };

/** `attributes` are those of its $STANDARD_INFORMATION. */
export async function natureOf(
  volume: NtfsVolume,
  file: NtfsFile,
  attributes: number,
  signal: AbortSignal,
): Promise<Nature> {
  const point = await reparsePoint(volume, file, signal);
  const target = point === undefined ? undefined : linkTarget(point);
  if (target !== undefined) return { kind: "link", target };
  // Directories of cloud providers and of containers hold their entries as any other.
  if (file.record.directory) return { kind: "directory" };
  const stream = await file.stream(attributeTypes.data, "", signal);
  const special = point === undefined ? undefined : wslNature(point.tag);
  if (special !== undefined) return special;
  const system = (attributes & fileAttributes.system) !== 0 && point === undefined;
  const interix = system ? await interixFile(volume, stream, signal) : undefined;
  if (interix !== undefined) return interix;
  const content =
    point === undefined ? plainContent(stream) : await reparsedContent(file, point, stream, attributes, signal);
  return { kind: "file", sizeBytes: stream?.sizeBytes ?? 0, content };
}

function plainContent(stream: Stream | undefined): FileContent {
  if (stream === undefined) return { kind: "none" };
  const encrypted = (stream.flags & attributeFlags.encrypted) !== 0;
  return encrypted ? { kind: "refused", what: "A file encrypted by EFS" } : { kind: "stream", stream };
}

async function reparsedContent(
  file: NtfsFile,
  point: ReparsePoint,
  stream: Stream | undefined,
  attributes: number,
  signal: AbortSignal,
): Promise<FileContent> {
  const away = (attributes & (fileAttributes.offline | fileAttributes.recallOnDataAccess)) !== 0;
  if (isCloudFile(point.tag) && !away) return plainContent(stream);
  const format = point.tag === reparseTags.systemCompression ? chunkFormat(point.data) : undefined;
  const stored =
    format === undefined ? undefined : await file.stream(attributeTypes.data, compressedStreamName, signal);
  if (format === undefined || stored === undefined || stream === undefined) {
    return { kind: "refused", what: storedAs(point.tag) };
  }
  return { kind: "system-compressed", file: { sizeBytes: stream.sizeBytes, format, stored } };
}

function wslNature(tag: number): Nature | undefined {
  switch (tag) {
    case reparseTags.wslSocket:
      return { kind: "socket" };
    case reparseTags.wslFifo:
      return { kind: "fifo" };
    case reparseTags.wslCharacterDevice:
      return { kind: "character-device", device: undefined };
    case reparseTags.wslBlockDevice:
      return { kind: "block-device", device: undefined };
    default:
      return undefined;
  }
}

async function reparsePoint(
  volume: NtfsVolume,
  file: NtfsFile,
  signal: AbortSignal,
): Promise<ReparsePoint | undefined> {
  const stream = await file.stream(attributeTypes.reparsePoint, "", signal);
  if (stream === undefined) return undefined;
  const bytes = await readMetadata(volume, stream, 0, Math.min(stream.sizeBytes, longestReparsePoint), signal);
  return parseReparsePoint(new ByteView(bytes, `${file.record.where}, reparse point`));
}

/** Interix, and ntfs-3g unless told otherwise, keep links and devices in files with the attribute "system". */
async function interixFile(
  volume: NtfsVolume,
  content: Stream | undefined,
  signal: AbortSignal,
): Promise<Nature | undefined> {
  // A target has at most 4095 letters (PATH_MAX).
  if (content === undefined || content.sizeBytes < 8 || content.sizeBytes > 8 + 2 * 4096) return undefined;
  const bytes = await readMetadata(volume, content, 0, content.sizeBytes, signal);
  const view = new ByteView(bytes, content.where);
  switch (Buffer.from(view.slice(0, 8)).toString("latin1")) {
    case "IntxLNK\u0001":
      return { kind: "link", target: decodeUtf16Name(bytes.subarray(8)) };
    case "IntxCHR\0":
      return { kind: "character-device", device: { major: view.u32le(8), minor: view.u32le(16) } };
    case "IntxBLK\0":
      return { kind: "block-device", device: { major: view.u32le(8), minor: view.u32le(16) } };
    default:
      return undefined;
  }
}
