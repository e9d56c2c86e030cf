/** Ranges as the service lists them (inclusive ends, not coalesced, in pages) made into what a disk source gives. Pure. */
import type { ByteRange, ChangedRange } from "../../ports/disk-source.ts";

/** As the SDK gives it: `end` is the last byte. */
export interface ListedRange {
  readonly start: number;
  readonly end: number;
  readonly isClear: boolean;
}

export interface ByteWindow {
  readonly fromByte: number;
  readonly toByte: number;
}

/** In order, touching and overlapping ones joined, cut to the window. */
export function coalesce(listed: readonly ListedRange[], { fromByte, toByte }: ByteWindow): ByteRange[] {
  const ranges: { offset: number; length: number }[] = [];
  for (const { start, end } of listed.toSorted((a, b) => a.start - b.start)) {
    const from = Math.max(start, fromByte);
    const to = Math.min(end + 1, toByte);
    if (to <= from) continue;
    const last = ranges.at(-1);
    if (last !== undefined && from <= last.offset + last.length) {
      last.length = Math.max(last.offset + last.length, to) - last.offset;
    } else {
      ranges.push({ offset: from, length: to - from });
    }
  }
  return ranges;
}

/** Written and cleared ranges as one list in order. Where the service says both of a byte, it counts as written. */
export function changedFrom(listed: readonly ListedRange[], window: ByteWindow): ChangedRange[] {
  const written = coalesce(
    listed.filter((range) => !range.isClear),
    window,
  );
  const cleared = coalesce(
    listed.filter((range) => range.isClear),
    window,
  );
  const data = written.map((range): ChangedRange => ({ ...range, kind: "data" }));
  const zero = without(cleared, written).map((range): ChangedRange => ({ ...range, kind: "zero" }));
  return [...data, ...zero].sort((a, b) => a.offset - b.offset);
}

/** What is left of `ranges` without the bytes of `taken`; both in order and coalesced. */
function without(ranges: readonly ByteRange[], taken: readonly ByteRange[]): ByteRange[] {
  const left: ByteRange[] = [];
  let next = 0;
  for (const range of ranges) {
    const end = range.offset + range.length;
    let at = range.offset;
    for (let hit = taken[next]; hit !== undefined && hit.offset < end; hit = taken[next]) {
      if (hit.offset > at) left.push({ offset: at, length: hit.offset - at });
      at = Math.max(at, hit.offset + hit.length);
      if (hit.offset + hit.length > end) break;
      next++;
    }
    if (at < end) left.push({ offset: at, length: end - at });
  }
  return left;
}

/** Joins ranges of the same kind that touch at the borders of two lists. */
export async function* joined<T extends ByteRange & { readonly kind?: string }>(
  lists: AsyncIterable<readonly T[]>,
): AsyncGenerator<T> {
  let held: T | undefined;
  for await (const list of lists) {
    for (const range of list) {
      if (held !== undefined && held.offset + held.length === range.offset && held.kind === range.kind) {
        held = { ...held, length: held.length + range.length };
      } else {
        if (held !== undefined) yield held;
        held = range;
      }
    }
  }
  if (held !== undefined) yield held;
}
