/**
 * A disk of a restore point as a block device: disk index, segments, chunks.
 *
 * 1. Chunks of zeros are never fetched, and neither are segments of zeros.
 * 2. Extents and content names come from the index and the segments alone.
 * 3. What a read gives keeps no more in memory than its own length.
 * 4. Damage is never passed over in silence. Without `onDamage` a read of damaged bytes throws `vault-corrupt`, naming the disk and
 *    the bytes. With it, they read as zeros, and each damaged stretch that is met is told once.
 */
import { FarsideError } from "../../core/errors.ts";
import { defectOf } from "../../core/vault/corrupt.ts";
import { chunkLength } from "../../core/vault/disk-geometry.ts";
import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { segmentChunks } from "../../core/vault/limits.ts";
import type { ManifestDisk } from "../../core/vault/manifest.ts";
import type { ObjectId } from "../../core/vault/object-id.ts";
import { zeroObjectId } from "../../core/vault/object-id.ts";
import { refuseLong, refuseOutside } from "../../images/mapped-device.ts";
import type { BlockDevice, ContentName, DeviceExtent } from "../../ports/block-device.ts";
import { mapOrdered } from "../vault/map-ordered.ts";
import type { DiskSegment, PiecePlan } from "../vault/read-disk.ts";
import { diskSegment, planSegment, readDiskIndex } from "../vault/read-disk.ts";
import type { ChunkCache } from "./chunk-cache.ts";
import { ReadAhead } from "./read-ahead.ts";

/** A stretch of a disk whose stored bytes are damaged; `toByte` is not part of it. */
export interface DamagedRange {
  readonly disk: string;
  readonly fromByte: number;
  readonly toByte: number;
  /** `vault-corrupt`. */
  readonly error: FarsideError;
}

/** In chunks. */
const maxReadAhead = 8;

/** Reads the index alone. Throws `vault-corrupt` for a damaged index, whatever `onDamage`: nothing of the disk is known then. */
export async function openVaultDisk(
  cache: ChunkCache,
  disk: Pick<ManifestDisk, "name" | "index" | "sizeBytes">,
  onDamage: ((range: DamagedRange) => void) | undefined,
  signal: AbortSignal,
): Promise<BlockDevice> {
  return new VaultDisk(cache, disk.name, await readDiskIndex(cache.vault, disk, signal), onDamage);
}

/** A piece of a plan; `damaged` is a stretch of a segment whose chunk ids cannot be read. */
type Piece =
  | PiecePlan
  | { readonly kind: "damaged"; readonly offset: number; readonly length: number; readonly segment: DiskSegment };

class VaultDisk implements BlockDevice {
  readonly sizeBytes: number;
  readonly #cache: ChunkCache;
  readonly #name: string;
  readonly #index: DiskIndex;
  readonly #onDamage: ((range: DamagedRange) => void) | undefined;
  /** First bytes of the stretches told. */
  readonly #told = new Set<string>();
  readonly #readAhead: ReadAhead;

  constructor(
    cache: ChunkCache,
    name: string,
    index: DiskIndex,
    onDamage: ((range: DamagedRange) => void) | undefined,
  ) {
    this.sizeBytes = index.sizeBytes;
    this.#cache = cache;
    this.#name = name;
    this.#index = index;
    this.#onDamage = onDamage;
    // What is fetched ahead must not drive out what is in use.
    const room = Math.floor(cache.options.cacheBytes / index.chunkSizeBytes / 4);
    this.#readAhead = new ReadAhead(Math.min(maxReadAhead, room));
  }

  async read(offset: number, length: number, signal: AbortSignal): Promise<Uint8Array> {
    this.#refuseOutside(offset, length);
    refuseLong(length);
    signal.throwIfAborted();
    if (length === 0) return new Uint8Array(0);
    const pieces: Piece[] = [];
    for await (const piece of this.#pieces(offset, length, signal)) pieces.push(piece);
    const [only] = pieces;
    if (pieces.length === 1 && only !== undefined) {
      const bytes = this.#fetch(only, signal);
      this.#fetchAhead(offset, length, signal);
      return bytes;
    }
    const whole = new Uint8Array(length);
    const stored = pieces.filter((piece) => piece.kind === "chunk");
    const fetch = async (piece: Piece, aborted: AbortSignal) => ({ piece, bytes: await this.#fetch(piece, aborted) });
    for await (const { piece, bytes } of mapOrdered(stored, this.#cache.options.fetchesAtOnce, fetch, signal)) {
      whole.set(bytes, piece.offset - offset);
    }
    this.#fetchAhead(offset, length, signal);
    return whole;
  }

  async *extents(offset: number, length: number, signal: AbortSignal): AsyncGenerator<DeviceExtent> {
    this.#refuseOutside(offset, length);
    let open: DeviceExtent | undefined;
    for await (const piece of this.#pieces(offset, length, signal)) {
      const kind = piece.kind === "zero" ? "zero" : "data";
      if (open?.kind === kind) {
        open = { kind, offset: open.offset, length: open.length + piece.length };
        continue;
      }
      if (open !== undefined) yield open;
      open = { kind, offset: piece.offset, length: piece.length };
    }
    if (open !== undefined) yield open;
  }

  async *contentNames(offset: number, length: number, signal: AbortSignal): AsyncGenerator<ContentName> {
    this.#refuseOutside(offset, length);
    let zeros = 0;
    for await (const piece of this.#pieces(offset, length, signal)) {
      if (piece.kind === "zero") {
        zeros += piece.length;
        continue;
      }
      if (zeros > 0) yield { length: zeros, name: "zero", at: 0 };
      zeros = 0;
      // The ids of a damaged segment are unknown: equal segments still hold equal chunks.
      if (piece.kind === "chunk") {
        yield { length: piece.length, name: piece.id, at: piece.offset % this.#index.chunkSizeBytes };
      } else {
        const { id, fromByte } = piece.segment;
        yield { length: piece.length, name: `segment:${id}`, at: piece.offset - fromByte };
      }
    }
    if (zeros > 0) yield { length: zeros, name: "zero", at: 0 };
  }

  #refuseOutside(offset: number, length: number): void {
    refuseOutside(`disk ${this.#name}`, this.sizeBytes, offset, length);
  }

  async *#pieces(offset: number, length: number, signal: AbortSignal): AsyncGenerator<Piece> {
    const end = offset + length;
    const segmentBytes = this.#index.chunkSizeBytes * segmentChunks;
    for (let number = Math.floor(offset / segmentBytes); number * segmentBytes < end; number++) {
      signal.throwIfAborted();
      const segment = diskSegment(this.#index, number);
      const chunkIds = await this.#chunkIds(segment, signal);
      if (chunkIds === "damaged") {
        const start = Math.max(offset, segment.fromByte);
        yield { kind: "damaged", offset: start, length: Math.min(end, segment.toByte) - start, segment };
      } else yield* planSegment({ segment, chunkIds }, this.#index, offset, end);
    }
  }

  /** Undefined where the segment is zeros. */
  async #chunkIds(segment: DiskSegment, signal: AbortSignal): Promise<readonly ObjectId[] | "damaged" | undefined> {
    if (segment.id === zeroObjectId) return undefined;
    try {
      return await this.#cache.segment(segment, signal);
    } catch (error) {
      this.#tellDamage(segment.fromByte, segment.toByte, error);
      return "damaged";
    }
  }

  async #fetch(piece: Piece, signal: AbortSignal): Promise<Uint8Array> {
    if (piece.kind !== "chunk") return new Uint8Array(piece.length);
    const { chunkSizeBytes, sizeBytes } = this.#index;
    const chunk = Math.floor(piece.offset / chunkSizeBytes);
    const plainBytes = chunkLength(sizeBytes, chunkSizeBytes, chunk);
    const start = chunk * chunkSizeBytes;
    try {
      const whole = await this.#cache.chunk(piece.id, plainBytes, signal);
      const part = whole.subarray(piece.offset - start, piece.offset - start + piece.length);
      // Who keeps a few bytes for long, as a slow client does, must not keep the chunk that they are from.
      return part.length === whole.length ? part : new Uint8Array(part);
    } catch (error) {
      this.#tellDamage(start, start + plainBytes, error);
      return new Uint8Array(piece.length);
    }
  }

  /** Throws what is no damage, and damage too where nobody is there to be told. */
  #tellDamage(fromByte: number, toByte: number, error: unknown): void {
    const damage = diskDamage(this.#name, fromByte, toByte, error);
    if (this.#onDamage === undefined) throw damage;
    const stretch = `${fromByte}-${toByte}`;
    if (this.#told.has(stretch)) return;
    this.#told.add(stretch);
    this.#onDamage({ disk: this.#name, fromByte, toByte, error: damage });
  }

  /** Called once the fetches of the read itself have begun: they come first. */
  #fetchAhead(offset: number, length: number, signal: AbortSignal): void {
    const { chunkSizeBytes } = this.#index;
    const ahead = this.#readAhead.note(offset, length, chunkSizeBytes);
    if (ahead === undefined) return;
    const from = Math.min(this.sizeBytes, ahead.from * chunkSizeBytes);
    const to = Math.min(this.sizeBytes, ahead.to * chunkSizeBytes);
    const fetchAll = async (): Promise<void> => {
      for (let at = from; at < to; at += chunkSizeBytes) {
        const number = Math.floor(at / (chunkSizeBytes * segmentChunks));
        const segment = diskSegment(this.#index, number);
        if (segment.id === zeroObjectId) continue;
        const ids = await this.#cache.segment(segment, signal);
        const id = ids[(at - segment.fromByte) / chunkSizeBytes] ?? zeroObjectId;
        if (id !== zeroObjectId) this.#cache.readAhead(id, signal);
      }
    };
    // What fails here is met again, and told, by the reader that gets there.
    fetchAll().catch(() => undefined);
  }
}

/** The error with the place on the disk. Throws again what is no damage of the vault. */
function diskDamage(disk: string, fromByte: number, toByte: number, error: unknown): FarsideError {
  const defect = defectOf(error);
  if (defect === undefined || !(error instanceof FarsideError)) throw error;
  const message = `Bytes ${fromByte} to ${toByte - 1} of the disk ${disk} cannot be read: ${error.message}`;
  return new FarsideError("vault-corrupt", message, { cause: error, details: { ...defect, disk, fromByte, toByte } });
}
