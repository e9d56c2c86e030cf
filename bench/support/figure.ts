/** One line of a benchmark's result. */
export interface Figure {
  readonly name: string;
  /** What was measured, as a ratio of this run where it can be one. */
  readonly value: string;
  readonly target: string;
  readonly met: boolean;
}
