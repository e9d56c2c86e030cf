/** One question that the documentation leaves open, and how the platform itself is asked it. */
import type { Stage } from "./stage.ts";

export type Verdict =
  | "as assumed"
  | "differs"
  /** A figure or a fact that nothing relies on. */
  | "answered"
  | "could not be tried";

export interface Answer {
  readonly verdict: Verdict;
  /** What was seen, in a sentence. */
  readonly found: string;
}

export interface Check {
  readonly name: string;
  readonly question: string;
  /** What the code relies on until somebody knows better. */
  readonly assumed: string;
  /** The file that relies on it, and a text that stands in the line. */
  readonly relies: { readonly file: string; readonly line: string };
  /** Throws where it could not be tried. Leaves no SAS behind; what it makes, the stage removes. */
  readonly ask: (stage: Stage, signal: AbortSignal) => Promise<Answer>;
}

export interface Finding extends Answer {
  readonly check: string;
  readonly question: string;
  readonly assumed: string;
  readonly relies: string;
}

export function answer(isAssumed: boolean, found: string): Answer {
  return { verdict: isAssumed ? "as assumed" : "differs", found };
}
