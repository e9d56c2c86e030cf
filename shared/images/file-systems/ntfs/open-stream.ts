/** Attributes of one record as streams; those that continue in further records are of `ntfs-file.ts`. */
import { imageCorrupt } from "../../image-errors.ts";
import type { Attribute, MappedAttribute, MappedSizes } from "./attribute.ts";
import type { NtfsGeometry } from "./boot-sector.ts";
import type { Run } from "./runlist.ts";
import { clipRun, decodeRuns } from "./runlist.ts";
import type { MappedStream, Stream } from "./stream.ts";

/** NTFS compresses where clusters have up to 4 KiB, in units of 16; this is the most that is decompressed at once. */
const largestUnitBytes = 1024 * 1024;

/** A stream of an attribute that stands whole in its record. */
export function openStream(geometry: NtfsGeometry, attribute: Attribute, where: string): Stream {
  if (attribute.kind === "resident") {
    const value = attribute.value.bytes;
    return { kind: "resident", where, flags: attribute.flags, sizeBytes: value.length, value };
  }
  return mappedStream(geometry, attribute, where, async function* (from, until) {
    yield* attributeRuns(geometry, attribute, where, from, until);
  });
}

/** `first` is the attribute's part that begins at cluster 0; `runs` are those of all its parts. */
export function mappedStream(
  geometry: NtfsGeometry,
  first: MappedAttribute,
  where: string,
  runs: MappedStream["runs"],
): MappedStream {
  if (first.sizes === undefined) throw imageCorrupt(where, "its first part does not begin at cluster 0");
  refuseLargeUnits(geometry, first.sizes, where);
  return { kind: "mapped", where, flags: first.flags, ...first.sizes, runs };
}

export function* attributeRuns(
  geometry: NtfsGeometry,
  attribute: MappedAttribute,
  where: string,
  from: number,
  until: number,
): Generator<Run> {
  for (const run of decodeRuns(attribute.mappingPairs, attribute.lowestVcn, geometry.clusterCount, where)) {
    if (run.vcn >= until) return;
    const clipped = clipRun(run, from, until);
    if (clipped !== undefined) yield clipped;
  }
}

function refuseLargeUnits(geometry: NtfsGeometry, sizes: MappedSizes, where: string): void {
  if (sizes.unitClusters * geometry.clusterBytes <= largestUnitBytes) return;
  throw imageCorrupt(where, `compression units of ${sizes.unitClusters} clusters`);
}
