/** The content of an attribute, whether it lies in its record or in clusters. */
import type { MetadataReader } from "../../recent-blocks.ts";
import type { BlockDevice } from "../../../ports/block-device.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { MappedSizes } from "./attribute.ts";
import type { NtfsGeometry } from "./boot-sector.ts";
import type { Run } from "./runlist.ts";

/** What all readers of a volume share. */
export interface NtfsVolume {
  readonly device: BlockDevice;
  /** The same bytes, for what is small and near to what was read before. */
  readonly metadata: MetadataReader;
  readonly geometry: NtfsGeometry;
}

export interface ResidentStream {
  readonly kind: "resident";
  readonly where: string;
  readonly flags: number;
  readonly sizeBytes: number;
  readonly value: Uint8Array;
}

export interface MappedStream extends MappedSizes {
  readonly kind: "mapped";
  readonly where: string;
  readonly flags: number;
  /** Of the clusters [from, until), in order, cut to them; what is not mapped is missing. */
  runs(from: number, until: number, signal: AbortSignal): AsyncIterable<Run>;
}

export type Stream = ResidentStream | MappedStream;

/** A stretch of a stream that lies in clusters, in bytes of the stream. */
export type Stretch =
  | { readonly kind: "hole"; readonly offset: number; readonly length: number }
  | { readonly kind: "device"; readonly offset: number; readonly length: number; readonly deviceOffset: number }
  /** Part of a compression unit that begins at `unitOffset` and is stored in `parts`. */
  | {
      readonly kind: "unit";
      readonly offset: number;
      readonly length: number;
      readonly unitOffset: number;
      readonly parts: readonly StoredPart[];
    };

interface StoredPart {
  readonly deviceOffset: number;
  readonly length: number;
}

/** The stretches of [offset, offset + length), which is within the stream: in order, without gaps. */
export async function* stretches(
  geometry: NtfsGeometry,
  stream: MappedStream,
  offset: number,
  length: number,
  signal: AbortSignal,
): AsyncGenerator<Stretch> {
  const end = offset + length;
  const written = Math.max(offset, Math.min(end, stream.initializedBytes));
  if (written > offset) yield* mappedStretches(geometry, stream, offset, written, signal);
  if (end > written) yield { kind: "hole", offset: written, length: end - written };
}

async function* mappedStretches(
  geometry: NtfsGeometry,
  stream: MappedStream,
  from: number,
  until: number,
  signal: AbortSignal,
): AsyncGenerator<Stretch> {
  const { clusterBytes } = geometry;
  const step = Math.max(1, stream.unitClusters);
  const firstVcn = Math.floor(from / clusterBytes / step) * step;
  const endVcn = Math.ceil(Math.ceil(until / clusterBytes) / step) * step;
  const runs = contiguous(stream, firstVcn, endVcn, signal);
  let at = from;
  for await (const stored of stream.unitClusters === 0 ? single(runs) : units(stream, runs)) {
    const start = stored[0].vcn * clusterBytes;
    const covered = stored.reduce((sum, run) => sum + run.clusters, 0) * clusterBytes;
    const length = Math.min(start + covered, until) - at;
    if (length <= 0) continue;
    yield stretch(clusterBytes, stream, stored, at, length);
    at += length;
  }
  if (at < until) throw imageCorrupt(stream.where, `its runs end at byte ${at}, before its size`);
}

/** `stored`: one run, or those of a compressed unit. */
function stretch(clusterBytes: number, stream: MappedStream, stored: Stored, offset: number, length: number): Stretch {
  const [first] = stored;
  const start = first.vcn * clusterBytes;
  if (stored.length > 1)
    return { kind: "unit", offset, length, unitOffset: start, parts: parts(clusterBytes, stream, stored) };
  if (first.lcn === undefined) return { kind: "hole", offset, length };
  return { kind: "device", offset, length, deviceOffset: first.lcn * clusterBytes + offset - start };
}

/** A compressed unit has its data first, and a hole for what it saved. */
function parts(clusterBytes: number, stream: MappedStream, stored: Stored): StoredPart[] {
  const found: StoredPart[] = [];
  let ended = false;
  for (const { lcn, vcn, clusters } of stored) {
    if (lcn === undefined) ended = true;
    else if (ended) throw imageCorrupt(stream.where, `the compressed unit has data after its hole, at cluster ${vcn}`);
    else found.push({ deviceOffset: lcn * clusterBytes, length: clusters * clusterBytes });
  }
  return found;
}

type Stored = readonly [Run, ...Run[]];

async function* single(runs: AsyncIterable<Run>): AsyncGenerator<Stored> {
  for await (const run of runs) yield [run];
}

/**
 * Runs cut at the units. Those of a unit that is partly a hole come together: it is compressed. What is all data, or all hole, stands
 * as it is.
 */
async function* units(stream: MappedStream, runs: AsyncIterable<Run>): AsyncGenerator<Stored> {
  const { unitClusters } = stream;
  let unit: Run[] = [];
  let filled = 0;
  for await (const run of runs) {
    for (let done = 0; done < run.clusters;) {
      const left = run.clusters - done;
      const whole = filled === 0 ? left - (left % unitClusters) : 0;
      const taken = whole > 0 ? whole : Math.min(left, unitClusters - filled);
      const lcn = run.lcn === undefined ? undefined : run.lcn + done;
      const cut = { vcn: run.vcn + done, clusters: taken, lcn };
      done += taken;
      if (whole > 0) {
        yield [cut];
        continue;
      }
      unit.push(cut);
      filled += taken;
      if (filled < unitClusters) continue;
      yield* unitRuns(unit);
      unit = [];
      filled = 0;
    }
  }
  // The runs end within a unit: the rest of it is a hole, as after the end of a file.
  const [first] = unit;
  if (first === undefined) return;
  yield* unitRuns([...unit, { vcn: first.vcn + filled, clusters: unitClusters - filled, lcn: undefined }]);
}

function* unitRuns(unit: readonly Run[]): Generator<Stored> {
  const [first, ...rest] = unit;
  if (first === undefined) return;
  const holes = unit.filter((run) => run.lcn === undefined).length;
  if (holes > 0 && holes < unit.length) yield [first, ...rest];
  else for (const run of unit) yield [run];
}

async function* contiguous(
  stream: MappedStream,
  from: number,
  until: number,
  signal: AbortSignal,
): AsyncGenerator<Run> {
  let next = from;
  for await (const run of stream.runs(from, until, signal)) {
    if (run.vcn !== next) throw imageCorrupt(stream.where, `cluster ${next} of it is not mapped`);
    yield run;
    next += run.clusters;
  }
}
