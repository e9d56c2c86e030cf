/** Where the bytes of a file lie. */
import type { NodeId } from "../../../ports/file-system.ts";
import { imageCorrupt } from "../../image-errors.ts";
import type { FatEntry } from "./directory.ts";
import type { FatVolume } from "./fat-volume.ts";

export interface FatExtent {
  readonly offset: number;
  readonly length: number;
  readonly deviceOffset: number;
}

interface ChainPlace {
  readonly index: number;
  readonly cluster: number;
}

/**
 * How far the chains of the files read last were followed: without it, each of many reads of a long file would follow its chain from the
 * start.
 */
export class ChainPlaces {
  readonly #places = new Map<NodeId, ChainPlace>();
  static readonly #most = 64;

  before(file: FatEntry, index: number): ChainPlace {
    const place = this.#places.get(file.node);
    return place !== undefined && place.index <= index ? place : { index: 0, cluster: file.firstCluster };
  }

  keep(file: FatEntry, place: ChainPlace): void {
    this.#places.delete(file.node);
    this.#places.set(file.node, place);
    for (const oldest of this.#places.keys()) {
      if (this.#places.size <= ChainPlaces.#most) break;
      this.#places.delete(oldest);
    }
  }
}

/** The range, which is cut to the file's size. Throws `image-corrupt` where the chain is shorter. */
export async function* fileExtents(
  volume: FatVolume,
  places: ChainPlaces,
  file: FatEntry,
  offset: number,
  length: number,
  signal: AbortSignal,
): AsyncGenerator<FatExtent> {
  const { clusterBytes, dataOffset } = volume.geometry;
  const end = Math.min(offset + length, file.sizeBytes);
  let at = offset;
  if (at >= end) return;
  const place = places.before(file, Math.floor(at / clusterBytes));
  for await (const run of volume.table.chain(place.cluster, place.index, signal)) {
    const start = run.index * clusterBytes;
    const until = Math.min(end, start + run.clusters * clusterBytes);
    if (until <= at) continue;
    places.keep(file, { index: run.index, cluster: run.first });
    const deviceOffset = dataOffset + (run.first - 2) * clusterBytes + at - start;
    yield { offset: at, length: until - at, deviceOffset };
    at = until;
    if (at >= end) return;
  }
  throw imageCorrupt("FAT table", `the chain of cluster ${file.firstCluster} ends at byte ${at} of ${file.sizeBytes}`);
}
