/**
 * What all windows that one process copies at the same time share. Each of its own would multiply the memory by as many functions
 * as the host runs at once: four, by host.json.
 */
import pLimit, { type LimitFunction } from "p-limit";
import { createPlaces, type Places } from "./places.ts";

export interface CopyCapacity {
  /** One for each chunk in memory. */
  readonly places: Places;
  /** Chunks that are looked for or written at once. */
  readonly writes: LimitFunction;
}

export function createCopyCapacity(chunksAtOnce: number): CopyCapacity {
  // Twice, so that the next chunks are read while the last ones are written.
  return { places: createPlaces(2 * chunksAtOnce), writes: pLimit(chunksAtOnce) };
}
