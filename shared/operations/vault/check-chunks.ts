/** Whether every distinct chunk is there, and, where asked, whether it can be read. */
import { fraction } from "../../ports/random.ts";
import type { VaultBlob } from "../../ports/vault-store.ts";
import type { Defect } from "../../core/vault/corrupt.ts";
import { IdTable } from "../../core/vault/id-table.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { objectIdBytes, objectName, zeroObjectId } from "../../core/vault/object-id.ts";
import { isPlausibleStoredLength, maxStoredBytes } from "../../core/vault/stored-object.ts";
import type { SegmentRef } from "./check-indexes.ts";
import { mapOrdered } from "./map-ordered.ts";
import type { OpenVault } from "./open-vault.ts";
import { readSegment } from "./read-disk.ts";
import { readObject } from "./read-object.ts";
import type { Damages } from "./trace-damages.ts";
import type { VerifyOptions } from "./verify-vault.ts";

/** A listing costs about what a dozen HEADs do. */
const defaultHeadsPerFirstByte = 16;
const defaultMaxChunksInMemory = 1_000_000;

export interface CheckedChunks {
  readonly chunks: number;
  readonly readChunks: number;
  readonly readBytes: number;
}

/** In several passes where the ids of all would not fit in memory; each takes the chunks of some first bytes. */
export async function checkChunks(
  vault: OpenVault,
  segments: readonly SegmentRef[],
  damages: Damages,
  options: VerifyOptions & { readonly parallelism: number },
  signal: AbortSignal,
): Promise<CheckedChunks> {
  const atMost = segments.reduce((sum, segment) => sum + segment.chunkCount, 0);
  const passes = Math.ceil(atMost / (options.maxChunksInMemory ?? defaultMaxChunksInMemory));
  const count = Math.min(256, Math.max(1, passes));
  const isSampled = sampler(vault, options);
  const checked = { chunks: 0, readChunks: 0, readBytes: 0 };
  for (let number = 0; number < count; number++) {
    const pass = new ChunkPass(vault, damages, options.parallelism, signal);
    await pass.collect(segments, Math.floor((number * 256) / count), Math.floor(((number + 1) * 256) / count));
    await pass.list(options.headsPerFirstByte ?? defaultHeadsPerFirstByte);
    await pass.lookForUnseen();
    checked.chunks += pass.count;
    options.onProgress?.(checked);
    for await (const plainBytes of pass.read(isSampled)) {
      checked.readChunks += 1;
      checked.readBytes += plainBytes;
      options.onProgress?.(checked);
    }
  }
  return checked;
}

interface ChunkRef {
  readonly id: ObjectId;
  readonly plainBytes: number;
}

class ChunkPass {
  readonly #vault: OpenVault;
  readonly #damages: Damages;
  readonly #parallelism: number;
  readonly #signal: AbortSignal;
  readonly #table = new IdTable();

  constructor(vault: OpenVault, damages: Damages, parallelism: number, signal: AbortSignal) {
    this.#vault = vault;
    this.#damages = damages;
    this.#parallelism = parallelism;
    this.#signal = signal;
  }

  get count(): number {
    return this.#table.count;
  }

  /** The chunks of all segments whose first byte is in the range, `to` not being part of it. Damaged segments are noted. */
  async collect(segments: readonly SegmentRef[], from: number, to: number): Promise<void> {
    const read = async (segment: SegmentRef, aborted: AbortSignal) => ({
      segment,
      ids: await this.#damages.attempt("segment", segment.id, () => readSegment(this.#vault, segment, aborted)),
    });
    for await (const { segment, ids } of mapOrdered(segments, this.#parallelism, read, this.#signal)) {
      for (const [at, id] of (ids ?? []).entries()) {
        if (id === zeroObjectId) continue;
        const bytes = objectIdBytes(id);
        const first = bytes[0] ?? 0;
        if (first < from || first >= to) continue;
        const plainBytes = at === segment.chunkCount - 1 ? segment.lastChunkBytes : segment.chunkSizeBytes;
        const before = this.#table.add(bytes, plainBytes);
        // One id stands for one content: two places that ask different lengths of it cannot both be right.
        const object = objectName("data", id);
        if (before !== plainBytes) {
          this.#note(id, { object, reason: "geometry-mismatch", expected: before, found: plainBytes });
        }
      }
    }
  }

  /** Looks for many chunks by one listing for each first byte. */
  async list(headsPerFirstByte: number): Promise<void> {
    const worthIt = Array.from(this.#table.perFirstByte.entries()).filter(([, count]) => count > headsPerFirstByte);
    const list = async ([first]: [number, number], aborted: AbortSignal): Promise<void> => {
      const prefix = `chunks/${first.toString(16).padStart(2, "0")}/`;
      for await (const blob of this.#vault.store.list(prefix, aborted)) this.#see(blob, blob.name.slice(prefix.length));
    };
    for await (const _ of mapOrdered(worthIt, this.#parallelism, list, this.#signal));
  }

  #see(blob: VaultBlob, name: string): void {
    if (!/^[0-9a-f]{64}$/.test(name)) return;
    const id = name as ObjectId;
    const plainBytes = this.#table.lengthOf(objectIdBytes(id));
    if (plainBytes === undefined) return;
    this.#table.mark(objectIdBytes(id), "seen");
    this.#checkLength(blob, id, plainBytes);
  }

  /** Those that no listing showed, one by one: a listing is no proof that something is missing. */
  async lookForUnseen(): Promise<void> {
    const look = async ({ id, plainBytes }: ChunkRef, aborted: AbortSignal): Promise<void> => {
      const object = objectName("data", id);
      const blob = await this.#vault.store.head(object, aborted);
      if (blob === undefined) this.#note(id, { object, reason: "missing" });
      else this.#checkLength(blob, id, plainBytes);
    };
    for await (const _ of mapOrdered(this.#table.without("seen"), this.#parallelism, look, this.#signal));
  }

  /** Reads and decodes those that are sampled and not known to be damaged. Gives the plain length of each. */
  read(isSampled: (id: ObjectId) => boolean): AsyncGenerator<number, void, undefined> {
    const readOne = async ({ id, plainBytes }: ChunkRef, aborted: AbortSignal): Promise<number> => {
      await this.#damages.attempt("data", id, () => readObject(this.#vault, "data", id, aborted, plainBytes));
      return plainBytes;
    };
    const wanted = this.#table.without("damaged").filter(({ id }) => isSampled(id));
    return mapOrdered(wanted, this.#parallelism, readOne, this.#signal);
  }

  #checkLength(blob: VaultBlob, id: ObjectId, plainBytes: number): void {
    if (isPlausibleStoredLength(this.#vault.keys, plainBytes, blob.sizeBytes)) return;
    const expected = maxStoredBytes(this.#vault.keys, plainBytes);
    this.#note(id, { object: blob.name, reason: "length-implausible", expected, found: blob.sizeBytes });
  }

  #note(id: ObjectId, defect: Defect): void {
    this.#table.mark(objectIdBytes(id), "damaged");
    this.#damages.add("data", id, defect);
  }
}

/** Which chunks are read. Ids are hashes: an arc of them, begun at a place by chance, is a fair sample. */
function sampler(vault: OpenVault, { readData = false, samplePercent = 0 }: VerifyOptions): (id: ObjectId) => boolean {
  if (readData || samplePercent >= 100) return () => true;
  if (samplePercent <= 0) return () => false;
  const start = fraction(vault.random);
  return (id) => {
    const place = Number.parseInt(id.slice(8, 16), 16) / 2 ** 32;
    return (place - start + 1) % 1 < samplePercent / 100;
  };
}
