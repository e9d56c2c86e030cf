/**
 * Alternate data streams, as extended attributes `user.stream.<name>`. Those of up to 64 KiB, the longest value of an attribute on Linux
 * (XATTR_SIZE_MAX), are shown; longer ones, and encrypted ones, are not.
 */
import { notSupported } from "../../image-errors.ts";
import { attributeFlags, attributeTypes } from "./attribute.ts";
import type { NtfsFile } from "./ntfs-file.ts";
import { readMetadata } from "./read-stream.ts";
import type { NtfsVolume } from "./stream.ts";
import { compressedStreamName } from "./system-compression.ts";

const longestValue = 64 * 1024;
/** Together they have at most 16 MiB. */
const mostStreams = 256;

export async function alternateStreams(
  volume: NtfsVolume,
  file: NtfsFile,
  signal: AbortSignal,
): Promise<Map<string, Uint8Array>> {
  const found = new Map<string, Uint8Array>();
  for await (const attribute of file.attributes(attributeTypes.data, signal)) {
    if (attribute.name === "" || attribute.name === compressedStreamName) continue;
    const stream = file.open(attribute);
    if (stream.sizeBytes > longestValue || (stream.flags & attributeFlags.encrypted) !== 0) continue;
    if (found.size >= mostStreams) throw notSupported(`An NTFS file with more than ${mostStreams} alternate streams`);
    found.set(`user.stream.${attribute.name}`, await readMetadata(volume, stream, 0, stream.sizeBytes, signal));
  }
  return found;
}
