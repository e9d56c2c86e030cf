import { FarsideError } from "../../shared/core/errors.ts";

export interface DemoOptions {
  /** Leave the data folder behind. */
  readonly keep: boolean;
  /** Of each disk. */
  readonly sizeMiB?: number;
  readonly print: (line: string) => void;
  readonly signal: AbortSignal;
}

/** Gives the exit code: 0 only if everything that the demo claims was true. */
export function runDemo(_options: DemoOptions): Promise<number> {
  return Promise.reject(new FarsideError("internal", "The demo is not built yet."));
}
