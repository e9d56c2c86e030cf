/**
 * What all steps that run in this process at the same time may hold and do: a function app runs several windows at once in one
 * process, and its memory must not grow with them. Made once, with the context.
 */
import pLimit, { type LimitFunction } from "p-limit";
import { createPlaces, type Places } from "./backup/places.ts";

export interface Transfer {
  /** One for each chunk in memory that is being copied. */
  readonly places: Places;
  /** Chunks that are looked for or written at once. */
  readonly writes: LimitFunction;
}

export function createTransfer(chunksAtOnce: number): Transfer {
  // Twice, so that the next chunks are read while the last ones are written.
  return { places: createPlaces(2 * chunksAtOnce), writes: pLimit(chunksAtOnce) };
}
