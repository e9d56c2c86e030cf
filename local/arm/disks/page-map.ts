/**
 * Which pages of a disk were written or cleared since a layer began, and where the written bytes are kept: ranges in order, not
 * overlapping. The last word on a page counts.
 */
export const pageBytes = 512;

/** Bytes of the disk, multiples of a page; `end` is not part of it. */
export interface PageRange {
  readonly start: number;
  readonly end: number;
  /** Where the bytes of `start` are kept; undefined: cleared. */
  readonly keptAt: number | undefined;
}

/** As the page-range protocol tells it: neighbours of one kind are one. */
export interface ToldRange {
  readonly start: number;
  readonly end: number;
  readonly kind: "written" | "cleared";
}

export class PageMap {
  #ranges: PageRange[];

  constructor(ranges: readonly PageRange[] = []) {
    this.#ranges = [...ranges];
  }

  get ranges(): readonly PageRange[] {
    return this.#ranges;
  }

  /** What was said of these pages before is forgotten. */
  set(said: PageRange): void {
    if (said.end <= said.start) return;
    const first = this.#firstEndingAfter(said.start - 1);
    let next = first;
    let joined = said;
    const left: PageRange[] = [];
    const right: PageRange[] = [];
    for (let range = this.#ranges[next]; range !== undefined && range.start <= said.end; range = this.#ranges[++next]) {
      const before = cut(range, range.start, Math.min(range.end, said.start));
      const after = cut(range, Math.max(range.start, said.end), range.end);
      if (before.end === joined.start && follows(before, joined)) joined = { ...before, end: joined.end };
      else if (before.end > before.start) left.push(before);
      if (after.start === joined.end && follows(joined, after)) joined = { ...joined, end: after.end };
      else if (after.end > after.start) right.push(after);
    }
    this.#ranges.splice(first, next - first, ...left, joined, ...right);
  }

  /** The ranges that touch the window, cut to it, in order. */
  *within(start: number, end: number): Generator<PageRange> {
    for (let at = this.#firstEndingAfter(start); at < this.#ranges.length; at++) {
      const range = this.#ranges[at];
      if (range === undefined || range.start >= end) return;
      yield cut(range, Math.max(range.start, start), Math.min(range.end, end));
    }
  }

  #firstEndingAfter(place: number): number {
    let low = 0;
    let high = this.#ranges.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#ranges[middle]?.end ?? 0) <= place) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** What was said last of each page, over layers from the oldest to the newest. */
export function laidOver(layers: readonly PageMap[], start: number, end: number): readonly ToldRange[] {
  const sum = new PageMap();
  for (const layer of layers) {
    // Where the bytes are kept says nothing here: kept at their own places, neighbours join.
    for (const range of layer.within(start, end)) {
      sum.set({ ...range, keptAt: range.keptAt === undefined ? undefined : range.start });
    }
  }
  return sum.ranges.map((range) => ({
    start: range.start,
    end: range.end,
    kind: range.keptAt === undefined ? "cleared" : "written",
  }));
}

function cut(range: PageRange, start: number, end: number): PageRange {
  return { start, end, keptAt: range.keptAt === undefined ? undefined : range.keptAt + start - range.start };
}

function follows(one: PageRange, next: PageRange): boolean {
  if (one.end <= one.start || next.end <= next.start) return false;
  if (one.keptAt === undefined || next.keptAt === undefined) return one.keptAt === next.keptAt;
  return one.keptAt + one.end - one.start === next.keptAt;
}
