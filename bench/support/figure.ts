/** One line of a benchmark's result. */
export interface Figure {
  readonly name: string;
  /** What was measured, as a ratio of this run where it can be one. */
  readonly value: string;
  readonly target: string;
  readonly met: boolean;
}

/** The median of the rounds of one run must reach the target; each round is shown, and `speeds` of the last one. */
export function ratioFigure(name: string, ratios: readonly number[], target: number, speeds: string): Figure {
  const median = ratios.toSorted((a, b) => a - b)[Math.floor(ratios.length / 2)] ?? 0;
  const rounds = ratios.map((ratio) => ratio.toFixed(2)).join(", ");
  const value = `${median.toFixed(2)} (median of ${rounds}; ${speeds})`;
  return { name, value, target: `>= ${target}`, met: median >= target };
}
