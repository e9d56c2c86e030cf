/** From a damaged object up to every restore point, disk and byte range that it hits. */
import type { Defect } from "../../core/vault/corrupt.ts";
import { defectOf } from "../../core/vault/corrupt.ts";
import { imagesOf } from "../../core/vault/manifest-images.ts";
import type { ObjectId, ObjectKind } from "../../core/vault/object-id.ts";
import { objectName, zeroObjectId } from "../../core/vault/object-id.ts";
import { messageOf } from "./check-restore-points.ts";
import type { LivePoint } from "./check-restore-points.ts";
import type { AffectedDisk, ByteRange, Finding, FindingCode } from "./findings.ts";
import type { OpenVault } from "./open-vault.ts";
import { diskSegments, readDiskIndex, readSegment } from "./read-disk.ts";
import type { DiskSegment } from "./read-disk.ts";

/** What is damaged, by the object's name, as it was found first. At most `max` are kept; the others are counted. */
export class Damages {
  readonly #max: number;
  readonly #byName = new Map<string, { readonly kind: ObjectKind; readonly defect: Defect }>();
  #untold = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get untold(): number {
    return this.#untold;
  }

  add(kind: ObjectKind, id: ObjectId, defect: Defect): void {
    const name = objectName(kind, id);
    if (this.#byName.has(name)) return;
    if (this.#byName.size < this.#max) this.#byName.set(name, { kind, defect });
    else this.#untold += 1;
  }

  has(kind: ObjectKind, id: ObjectId): boolean {
    return this.#byName.has(objectName(kind, id));
  }

  get size(): number {
    return this.#byName.size;
  }

  hasKind(kind: ObjectKind): boolean {
    return this.#byName.values().some((damage) => damage.kind === kind);
  }

  entries(): IterableIterator<[string, { readonly kind: ObjectKind; readonly defect: Defect }]> {
    return this.#byName.entries();
  }

  /** What `read` gives; undefined where it finds damage, which is noted. */
  async attempt<T>(kind: ObjectKind, id: ObjectId, read: () => Promise<T>): Promise<T | undefined> {
    try {
      return await read();
    } catch (error) {
      const defect = defectOf(error);
      if (defect === undefined) throw error;
      this.add(kind, id, defect);
      return undefined;
    }
  }
}

const codes = { data: "chunk", segment: "segment", "disk-index": "index", document: "document" } as const;

/** The findings of all damages. Walks the restore points once more, and reads segments again only where a chunk is damaged. */
export async function traceDamages(
  vault: OpenVault,
  points: readonly LivePoint[],
  damages: Damages,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  if (damages.size === 0) return [];
  const affected = new Map<string, AffectedDisk[]>();
  const hit = (object: string, disk: AffectedDisk): void => {
    const disks = affected.get(object);
    if (disks === undefined) affected.set(object, [disk]);
    else disks.push(disk);
  };
  const damagedChunks = new ChunksOfSegments(vault, damages);
  for (const { vmId, pointId, manifest } of points) {
    if (damages.has("document", manifest.configuration)) {
      hit(objectName("document", manifest.configuration), { vmId, pointId, ranges: [] });
    }
    for (const image of imagesOf(manifest)) {
      const where = { vmId, pointId, disk: image.disk, ...(image.part === "disk" ? {} : { part: image.part }) };
      if (damages.has("disk-index", image.index)) {
        const ranges = [{ fromByte: 0, toByte: image.sizeBytes }];
        hit(objectName("disk-index", image.index), { ...where, ranges });
        continue;
      }
      const index = await unlessDamaged(readDiskIndex(vault, image, signal));
      if (index === undefined) continue;
      const ranges = new Map<string, ByteRange[]>();
      for (const segment of diskSegments(index)) {
        for (const [object, range] of await damagedChunks.rangesIn(segment, index.chunkSizeBytes, signal)) {
          ranges.set(object, joined(ranges.get(object) ?? [], range));
        }
      }
      for (const [object, found] of ranges) hit(object, { ...where, ranges: found });
    }
  }
  return Array.from(damages.entries(), ([object, { kind, defect }]) => {
    const code: FindingCode = `${codes[kind]}-${defect.reason === "missing" ? "missing" : "corrupt"}`;
    const { reason } = defect;
    return {
      severity: "error",
      code,
      object,
      reason,
      message: messageOf(defect),
      affected: affected.get(object) ?? [],
    };
  });
}

/** On the way up, damage is known already, be it among those not told one by one. */
async function unlessDamaged<T>(reading: Promise<T>): Promise<T | undefined> {
  try {
    return await reading;
  } catch (error) {
    if (defectOf(error) === undefined) throw error;
    return undefined;
  }
}

/** The damaged chunks of segments, each of which is read once, and remembered only by its damaged places. */
class ChunksOfSegments {
  readonly #vault: OpenVault;
  readonly #damages: Damages;
  readonly #hits = new Map<ObjectId, readonly (readonly [at: number, object: string])[]>();

  constructor(vault: OpenVault, damages: Damages) {
    this.#vault = vault;
    this.#damages = damages;
  }

  async rangesIn(
    segment: DiskSegment,
    chunkSizeBytes: number,
    signal: AbortSignal,
  ): Promise<readonly (readonly [object: string, range: ByteRange])[]> {
    const { id, fromByte, toByte } = segment;
    if (id === zeroObjectId) return [];
    if (this.#damages.has("segment", id)) return [[objectName("segment", id), { fromByte, toByte }]];
    if (!this.#damages.hasKind("data")) return [];
    const hits = this.#hits.get(id) ?? (await this.#read(segment, signal));
    return hits.map(([at, object]) => {
      const from = fromByte + at * chunkSizeBytes;
      return [object, { fromByte: from, toByte: Math.min(toByte, from + chunkSizeBytes) }];
    });
  }

  async #read(segment: DiskSegment, signal: AbortSignal): Promise<readonly (readonly [number, string])[]> {
    const chunkIds = await unlessDamaged(readSegment(this.#vault, segment, signal));
    const hits = Array.from((chunkIds ?? []).entries())
      .filter(([, id]) => id !== zeroObjectId && this.#damages.has("data", id))
      .map(([at, id]) => [at, objectName("data", id)] as const);
    this.#hits.set(segment.id, hits);
    return hits;
  }
}

/** Ranges in order, with one more behind them; what touches becomes one. */
function joined(ranges: readonly ByteRange[], next: ByteRange): ByteRange[] {
  const last = ranges.at(-1);
  if (last === undefined || last.toByte !== next.fromByte) return [...ranges, next];
  return [...ranges.slice(0, -1), { fromByte: last.fromByte, toByte: next.toByte }];
}
