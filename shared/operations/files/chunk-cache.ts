/**
 * The chunks of a vault, decrypted, for all who read disks of it: one cache of bounded size, one bound on fetches at work.
 *
 * Memory: `cacheBytes`, and for each of `fetchesAtOnce` a chunk stored and once more plain while it is decoded; besides, up to
 * 64 segments (about 100 KiB each) for all disks together. Never more, whatever the disks' sizes.
 */
import pLimit from "p-limit";
import { corrupt } from "../../core/vault/corrupt.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { objectName } from "../../core/vault/object-id.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import type { DiskSegment } from "../vault/read-disk.ts";
import { readSegment } from "../vault/read-disk.ts";
import { readObject } from "../vault/read-object.ts";
import { SharedFetches } from "./shared-fetches.ts";

export interface ChunkCacheOptions {
  /** Of plain chunks that are kept. */
  readonly cacheBytes: number;
  /** Objects read from the store at one time, by all who share the cache. */
  readonly fetchesAtOnce: number;
}

/** Counted since the cache was made. */
export interface ChunkCacheStats {
  /** Chunks asked of the store, those read ahead among them. */
  fetches: number;
  /** Chunks read ahead of a reader. */
  readAhead: number;
  /** Chunks that were there, or on their way, when a reader asked. */
  hits: number;
  /** Plain bytes of the chunks fetched. */
  bytes: number;
  /** Segments asked of the store: 1,024 chunks each. */
  segments: number;
}

/** In segments: with chunks of 1 MiB each stands for 1 GiB of a disk. */
const segmentsKept = 64;

export class ChunkCache {
  readonly stats: ChunkCacheStats = { fetches: 0, readAhead: 0, hits: 0, bytes: 0, segments: 0 };
  readonly options: ChunkCacheOptions;
  readonly vault: OpenVault;
  readonly #limit: ReturnType<typeof pLimit>;
  readonly #chunks: SharedFetches<ObjectId, Uint8Array>;
  readonly #segments: SharedFetches<string, readonly ObjectId[]>;

  constructor(vault: OpenVault, options: ChunkCacheOptions) {
    this.vault = vault;
    this.options = options;
    this.#limit = pLimit(options.fetchesAtOnce);
    this.#chunks = new SharedFetches({
      maxWeight: options.cacheBytes,
      weigh: (chunk) => chunk.length,
      fetch: (id, signal) => this.#limit(() => this.#fetchChunk(id, signal)),
    });
    this.#segments = new SharedFetches({
      maxWeight: segmentsKept,
      weigh: () => 1,
      fetch: (key, signal) => this.#limit(() => this.#fetchSegment(key, signal)),
    });
  }

  /** Bytes of plain chunks kept now. */
  get keptBytes(): number {
    return this.#chunks.weight;
  }

  /**
   * A whole chunk, not the zero one; never to be changed. `plainBytes`: how long its place says that it is. Throws `vault-corrupt`
   * with a Defect, and what the store throws.
   */
  async chunk(id: ObjectId, plainBytes: number, signal: AbortSignal): Promise<Uint8Array> {
    if (this.#chunks.state(id) !== "absent") this.stats.hits += 1;
    const chunk = await this.#chunks.get(id, signal);
    if (chunk.length === plainBytes) return chunk;
    const defect = { object: objectName("data", id), reason: "plain-length" } as const;
    throw corrupt(
      { ...defect, expected: plainBytes, found: chunk.length },
      `it holds ${chunk.length} bytes where its place in the disk asks for ${plainBytes}`,
    );
  }

  /** Fetches a chunk that somebody will probably ask for; does nothing where that would keep others waiting. */
  readAhead(id: ObjectId, signal: AbortSignal): void {
    const busy = this.#limit.activeCount + this.#limit.pendingCount >= this.options.fetchesAtOnce;
    if (busy || signal.aborted || this.#chunks.state(id) !== "absent") return;
    this.stats.readAhead += 1;
    // Where it fails, whoever really reads the chunk fetches it again and meets the error.
    this.#chunks.get(id, signal).catch(() => undefined);
  }

  /** The chunk ids of a segment, not the zero one. Throws as `chunk` does. */
  segment(segment: DiskSegment, signal: AbortSignal): Promise<readonly ObjectId[]> {
    return this.#segments.get(`${segment.id}/${segment.chunkCount}`, signal);
  }

  async #fetchChunk(id: ObjectId, signal: AbortSignal): Promise<Uint8Array> {
    signal.throwIfAborted();
    this.stats.fetches += 1;
    const chunk = await readObject(this.vault, "data", id, signal);
    this.stats.bytes += chunk.length;
    return chunk;
  }

  async #fetchSegment(key: string, signal: AbortSignal): Promise<readonly ObjectId[]> {
    signal.throwIfAborted();
    this.stats.segments += 1;
    const [id, chunkCount] = key.split("/");
    return readSegment(this.vault, { id: id as ObjectId, chunkCount: Number(chunkCount) }, signal);
  }
}
