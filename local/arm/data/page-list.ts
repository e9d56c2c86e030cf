/** The answer of Get Page Ranges: written and cleared ranges interleaved, inclusive ends, at most 10,000 in one answer. */
import type { ToldRange } from "../disks/page-map.ts";

/** The service's own bound on `maxresults`, and what it gives where none is asked for. */
export const mostRanges = 10_000;

/** `marker` is a place on the disk: ranges that begin before it were in an earlier answer. */
export function pageListXml(ranges: readonly ToldRange[], marker: number, maxResults: number): string {
  const left = ranges.filter(({ start }) => start >= marker);
  const shown = left.slice(0, maxResults);
  const next = left[maxResults]?.start;
  const items = shown.map(({ start, end, kind }) => {
    const name = kind === "written" ? "PageRange" : "ClearRange";
    return `<${name}><Start>${start}</Start><End>${end - 1}</End></${name}>`;
  });
  const marks = next === undefined ? "<NextMarker/>" : `<NextMarker>${next}</NextMarker>`;
  return `<?xml version="1.0" encoding="utf-8"?><PageList>${items.join("")}${marks}</PageList>`;
}
