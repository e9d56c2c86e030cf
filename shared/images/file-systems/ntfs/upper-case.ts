/** $UpCase: the volume's own table of which letters count as the same in names. */
import { imageCorrupt } from "../../image-errors.ts";
import { utf16Units } from "../../utf16-name.ts";
import { attributeTypes } from "./attribute.ts";
import type { NtfsFile } from "./ntfs-file.ts";
import { readMetadata } from "./read-stream.ts";
import type { NtfsVolume } from "./stream.ts";

/** One UTF-16 unit for each of the 65,536. */
const tableBytes = 2 * 65_536;

/** The capital letter of each UTF-16 unit. */
export type UpperCase = (unit: number) => number;

export async function readUpperCase(volume: NtfsVolume, file: NtfsFile, signal: AbortSignal): Promise<UpperCase> {
  const stream = await file.stream(attributeTypes.data, "", signal);
  if (stream?.sizeBytes !== tableBytes) throw imageCorrupt(file.record.where, "$UpCase has not 65,536 letters");
  const bytes = Buffer.from(await readMetadata(volume, stream, 0, tableBytes, signal));
  return (unit) => bytes.readUInt16LE(unit * 2);
}

/** How a name on disk (UTF-16, little endian) lies to `wanted`, letter case not counted: below, equal or above 0. */
export function nameOrder(upperCase: UpperCase, wanted: string): (nameBytes: Uint8Array) => number {
  const target = utf16Units(wanted).map(upperCase);
  return (nameBytes) => {
    const length = nameBytes.length >> 1;
    for (let index = 0; index < Math.min(length, target.length); index++) {
      const unit = upperCase((nameBytes[2 * index] ?? 0) | ((nameBytes[2 * index + 1] ?? 0) << 8));
      const difference = unit - (target[index] ?? 0);
      if (difference !== 0) return difference;
    }
    return length - target.length;
  };
}
