/** The file allocation table: for each cluster the one that follows it. Source: fatgen103, "FAT Data Structure". */
import { imageCorrupt } from "../../image-errors.ts";
import type { MetadataReader } from "../../recent-blocks.ts";
import type { FatGeometry } from "./boot-sector.ts";

/** Neighbouring clusters that follow each other. */
export interface ClusterRun {
  /** Of the chain: how many clusters are before. */
  readonly index: number;
  readonly first: number;
  readonly clusters: number;
}

/** 1 MiB of clusters of 512 bytes; a longer run comes in pieces, so that none makes its reader wait. */
const longestRun = 2048;
/** Looked at together: 24 KiB of FAT12, 32 KiB of FAT16, 64 KiB of FAT32. Even, so that it begins at a whole byte. */
const windowEntries = 16_384;

/** Entries of the table as they lie on the volume. */
interface Window {
  readonly first: number;
  readonly entries: number;
  readonly bytes: Uint8Array;
}

export class AllocationTable {
  readonly #geometry: FatGeometry;
  readonly #metadata: MetadataReader;
  #window: Window = { first: 0, entries: 0, bytes: new Uint8Array(0) };

  constructor(geometry: FatGeometry, metadata: MetadataReader) {
    this.#geometry = geometry;
    this.#metadata = metadata;
  }

  /** The cluster after `cluster`, by its value in the table; `undefined` for the last. */
  #next(cluster: number, value: number): number | undefined {
    const { bits } = this.#geometry;
    // The last 8 values are the end of a chain, the one before them is a bad cluster.
    if (value >= (bits === 32 ? 0x0ffffff8 : 2 ** bits - 8)) return undefined;
    this.#refuseOutside(value, cluster);
    return value;
  }

  #refuseOutside(cluster: number, after?: number): void {
    if (cluster >= 2 && cluster < this.#geometry.clusterCount + 2) return;
    const place = after === undefined ? "a chain begins" : `cluster ${after} leads`;
    throw imageCorrupt("FAT table", `${place} at ${cluster}, which is no cluster of the volume`);
  }

  /** As it stands in the table; the upper four bits of 32 are not part of it. */
  async value(cluster: number, signal: AbortSignal): Promise<number> {
    return this.#known(cluster) ?? this.#looked(cluster, signal);
  }

  #known(cluster: number): number | undefined {
    const place = cluster - this.#window.first;
    if (place < 0 || place >= this.#window.entries) return undefined;
    const { bits } = this.#geometry;
    const view = this.#window.bytes;
    const at = Math.floor((place * bits) / 8);
    const low = (view[at] ?? 0) | ((view[at + 1] ?? 0) << 8);
    if (bits === 16) return low;
    if (bits === 12) return place % 2 === 0 ? low & 0xfff : low >> 4;
    return (low | ((view[at + 2] ?? 0) << 16) | ((view[at + 3] ?? 0) << 24)) & 0x0fffffff;
  }

  async #looked(cluster: number, signal: AbortSignal): Promise<number> {
    const { bits, clusterCount, tableOffset } = this.#geometry;
    const first = cluster - (cluster % windowEntries);
    const entries = Math.min(windowEntries, clusterCount + 2 - first);
    const bytes = await this.#metadata.read(tableOffset + (first * bits) / 8, Math.ceil((entries * bits) / 8), signal);
    this.#window = { first, entries, bytes };
    const value = this.#known(cluster);
    if (value === undefined) throw imageCorrupt("FAT table", `it has no entry for cluster ${cluster}`);
    return value;
  }

  /**
   * The chain from `first`, whose place in it is `index`. A chain that leads back into itself throws `image-corrupt` (Brent's algorithm:
   * the cluster at each power of two of steps is kept, and must not come again).
   */
  async *chain(first: number, index: number, signal: AbortSignal): AsyncGenerator<ClusterRun> {
    this.#refuseOutside(first);
    let [kept, steps, limit] = [first, 0, 1];
    let run = { index, first, clusters: 1 };
    for (let cluster = first; ;) {
      // Without a promise where there is no need of one: a file may have millions of clusters.
      const next = this.#next(cluster, this.#known(cluster) ?? (await this.#looked(cluster, signal)));
      if (next === kept) throw imageCorrupt("FAT table", `the chain of cluster ${first} leads back to ${kept}`);
      if (++steps === limit && next !== undefined) [kept, steps, limit] = [next, 0, limit * 2];
      if (next === cluster + 1 && run.clusters < longestRun) run = { ...run, clusters: run.clusters + 1 };
      else {
        yield run;
        if (next === undefined) return;
        run = { index: run.index + run.clusters, first: next, clusters: 1 };
      }
      cluster = next;
    }
  }
}
