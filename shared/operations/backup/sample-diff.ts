/**
 * Draws chunks that, by the list of changed pages, are the parent's, and compares them. A list that leaves out changes is found out
 * in the end, and the more it leaves out, the sooner: where it leaves out the share f of the chunks that held data, one backup of a disk of
 * a few segments finds it with the probability 1 - (1 - f)^(half the samples).
 */
import { hasCode } from "../../core/errors.ts";
import { chunkCount, chunkLength, segmentChunkCount } from "../../core/vault/disk-geometry.ts";
import type { DiskIndex } from "../../core/vault/disk-index.ts";
import { segmentChunks } from "../../core/vault/limits.ts";
import { objectIdOf, zeroObjectId } from "../../core/vault/object-id.ts";
import type { DiskSnapshot } from "../../core/run.ts";
import type { DiskSource } from "../../ports/disk-source.ts";
import { fraction } from "../../ports/random.ts";
import type { Context } from "../context.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readSegment } from "../vault/read-disk.ts";

export interface SampleFacts {
  readonly vault: OpenVault;
  readonly source: DiskSource;
  readonly snapshot: DiskSnapshot;
  readonly parent: { readonly index: DiskIndex; readonly snapshot: Readonly<Record<string, string>> };
  /** Segments in which the list names something. */
  readonly changedSegments: ReadonlySet<number>;
}

export interface Sampled {
  /** Of a chunk that differs though the list does not name it; undefined where none was met. */
  readonly offset: number | undefined;
  /** Segments of the parent that could not be read. */
  readonly damagedSegments: ReadonlySet<number>;
}

export async function sampleDiff(context: Context, facts: SampleFacts, signal: AbortSignal): Promise<Sampled> {
  const { index } = facts.parent;
  const filled = index.segments.flatMap((id, segment) => (id === zeroObjectId ? [] : [segment]));
  const damagedSegments = new Set<number>();
  const draw = (count: number): number => Math.floor(fraction(context.random) * count);
  for (let sample = 0; sample < context.limits.sampleChunks; sample++) {
    // By turns where there was data, in which changes are likely, and anywhere, where something new may have come.
    const wantsData = sample % 2 === 0;
    const segment = wantsData
      ? filled[draw(filled.length)]
      : Math.floor(draw(chunkCount(index.sizeBytes, index.chunkSizeBytes)) / segmentChunks);
    if (segment === undefined) continue;
    try {
      const offset = await unnamedChange(facts, { segment, wantsData, draw }, signal);
      if (offset !== undefined) return { offset, damagedSegments };
    } catch (error) {
      if (!hasCode(error, "vault-corrupt")) throw error;
      damagedSegments.add(segment);
    }
  }
  return { offset: undefined, damagedSegments };
}

/** `draw`: one of so many, by chance. */
interface Place {
  readonly segment: number;
  readonly wantsData: boolean;
  readonly draw: (count: number) => number;
}

/** Draws a chunk of the segment; its offset where it has changed and the list does not name it. */
async function unnamedChange(facts: SampleFacts, place: Place, signal: AbortSignal): Promise<number | undefined> {
  const { vault, source, snapshot, parent, changedSegments } = facts;
  const { sizeBytes, chunkSizeBytes, segments } = parent.index;
  const { segment, wantsData, draw } = place;
  const count = segmentChunkCount(sizeBytes, chunkSizeBytes, segment);
  const ids = await readSegment(vault, { id: segments[segment] ?? zeroObjectId, chunkCount: count }, signal);
  // A segment holds zeros too, most of them on a disk that is nearly empty: they would hide what has changed beside them.
  const chunks = wantsData ? ids.flatMap((id, chunk) => (id === zeroObjectId ? [] : [chunk])) : [...ids.keys()];
  const at = chunks[draw(chunks.length)];
  if (at === undefined) return undefined;
  const chunk = segment * segmentChunks + at;
  const offset = chunk * chunkSizeBytes;
  const length = chunkLength(sizeBytes, chunkSizeBytes, chunk);
  // The last chunk of a disk that has grown is longer now, and is read in any case.
  if (length !== chunkLength(snapshot.sizeBytes, chunkSizeBytes, chunk)) return undefined;
  if (changedSegments.has(segment)) {
    const window = { fromByte: offset, toByte: offset + length };
    for await (const _ of source.changedRanges(snapshot.reference, parent.snapshot, window, signal)) return undefined;
  }
  const content = await source.read(snapshot.reference, offset, length, signal);
  return objectIdOf(vault.keys, "data", content) === (ids[at] ?? zeroObjectId) ? undefined : offset;
}
