/** What the service lists as changed between two snapshots, held against what was written between them. */
import { allPages, type Span } from "../sas.ts";
import { diskBytes } from "../stage.ts";

export interface Compared {
  /** Nothing that was written is missing. */
  readonly isExact: boolean;
  readonly found: string;
  /** Listed beyond the end of the disk: the footer. */
  readonly footer: boolean;
  readonly pages: number;
}

export async function compareWith(
  previous: string,
  sas: string,
  written: readonly Span[],
  signal: AbortSignal,
): Promise<Compared> {
  const { status, code, ranges, pages } = await allPages(sas, { previous, maxResults: 10_000 }, signal);
  if (status !== 200) {
    return { isExact: false, found: `refused: ${`${status} ${code}`.trim()}`, footer: false, pages };
  }
  const missing = written.filter((span) => !isCovered(span, ranges)).length;
  const listed = sum(ranges);
  const more = Math.max(0, listed - sum(written));
  const what =
    missing === 0 ? "nothing that was written is missing" : `${missing} of ${written.length} writes are missing`;
  return {
    isExact: missing === 0,
    found: `${ranges.length} ranges in ${pages} answers: ${what}, ${more} bytes more are listed`,
    footer: ranges.some(({ offset, length }) => offset + length > diskBytes),
    pages,
  };
}

/** Ranges come in the order of the disk; adjacent ones may be one or two. */
function isCovered({ offset, length }: Span, ranges: readonly Span[]): boolean {
  let at = offset;
  for (let i = firstEndingBeyond(ranges, offset); at < offset + length; i++) {
    const range = ranges[i];
    if (range === undefined || range.offset > at) return false;
    at = range.offset + range.length;
  }
  return true;
}

function firstEndingBeyond(ranges: readonly Span[], offset: number): number {
  let [low, high] = [0, ranges.length];
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const range = ranges[middle];
    if (range !== undefined && range.offset + range.length > offset) high = middle;
    else low = middle + 1;
  }
  return low;
}

function sum(spans: readonly Span[]): number {
  return spans.reduce((total, { length }) => total + length, 0);
}
