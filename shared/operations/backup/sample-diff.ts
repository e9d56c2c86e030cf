/**
 * Draws chunks that, by the list of changed pages, are the parent's, and compares them. A list that leaves out changes is found out
 * in the end, and the more it leaves out, the sooner.
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
  for (let sample = 0; sample < context.limits.sampleChunks; sample++) {
    // By turns where there was data, in which changes are likely, and anywhere, where something new may have come.
    const among = sample % 2 === 0 ? filled : undefined;
    const chunk = drawChunk(context, index, among);
    if (chunk === undefined) continue;
    try {
      if (!(await isUnnamedChange(facts, chunk, signal))) continue;
      return { offset: chunk * index.chunkSizeBytes, damagedSegments };
    } catch (error) {
      if (!hasCode(error, "vault-corrupt")) throw error;
      damagedSegments.add(Math.floor(chunk / segmentChunks));
    }
  }
  return { offset: undefined, damagedSegments };
}

function drawChunk(context: Context, index: DiskIndex, segments: readonly number[] | undefined): number | undefined {
  const { sizeBytes, chunkSizeBytes } = index;
  const draw = (count: number): number => Math.floor(fraction(context.random) * count);
  if (segments === undefined) return draw(chunkCount(sizeBytes, chunkSizeBytes));
  const segment = segments[draw(segments.length)];
  return segment === undefined
    ? undefined
    : segment * segmentChunks + draw(segmentChunkCount(sizeBytes, chunkSizeBytes, segment));
}

async function isUnnamedChange(facts: SampleFacts, chunk: number, signal: AbortSignal): Promise<boolean> {
  const { vault, source, snapshot, parent, changedSegments } = facts;
  const { sizeBytes, chunkSizeBytes, segments } = parent.index;
  const offset = chunk * chunkSizeBytes;
  const length = chunkLength(sizeBytes, chunkSizeBytes, chunk);
  // The last chunk of a disk that has grown is longer now, and is read in any case.
  if (length !== chunkLength(snapshot.sizeBytes, chunkSizeBytes, chunk)) return false;
  const segment = Math.floor(chunk / segmentChunks);
  const window = { fromByte: offset, toByte: offset + length };
  if (changedSegments.has(segment)) {
    for await (const _ of source.changedRanges(snapshot.reference, parent.snapshot, window, signal)) return false;
  }
  const id = segments[segment] ?? zeroObjectId;
  const count = segmentChunkCount(sizeBytes, chunkSizeBytes, segment);
  const ids = await readSegment(vault, { id, chunkCount: count }, signal);
  const content = await source.read(snapshot.reference, offset, length, signal);
  return objectIdOf(vault.keys, "data", content) !== (ids[chunk % segmentChunks] ?? zeroObjectId);
}
