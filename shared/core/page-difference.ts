/** Where two stretches of a disk differ, by pages of 4 KiB: the unit in which operating systems write. */
const pageBytes = 4096;
const zeros = Buffer.alloc(pageBytes);

/** Pages that follow each other and are to become data, or zeros. `offset` counts from the start of the stretch. */
export interface DifferingRun {
  readonly offset: number;
  readonly length: number;
  readonly kind: "data" | "zero";
}

/** What of `have` must be written to make it `want`; undefined stands for zeros. In order, not overlapping. */
export function differingRuns(have: Uint8Array, want: Uint8Array | undefined): readonly DifferingRun[] {
  const runs: DifferingRun[] = [];
  for (let offset = 0; offset < have.length; offset += pageBytes) {
    const length = Math.min(pageBytes, have.length - offset);
    const wanted = want?.subarray(offset, offset + length) ?? zeros.subarray(0, length);
    if (Buffer.compare(have.subarray(offset, offset + length), wanted) === 0) continue;
    const kind = Buffer.compare(wanted, zeros.subarray(0, length)) === 0 ? "zero" : "data";
    const last = runs.at(-1);
    if (last?.kind === kind && last.offset + last.length === offset) {
      runs[runs.length - 1] = { ...last, length: last.length + length };
    } else runs.push({ offset, length, kind });
  }
  return runs;
}
