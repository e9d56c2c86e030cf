/**
 * What people type for a place inside a restore point: `VM[@POINT]:VOLUME[:PATH]`. No name of a VM or point has a colon; names of
 * volumes may (md arrays can be called anything), so that only the volumes that are there tell where a volume's name ends.
 */
import { FarsideError } from "../shared/core/errors.ts";
import { quote } from "../shared/core/ids.ts";
import type { VmAtPoint } from "./vm-at-point.ts";
import { parseVmAtPoint } from "./vm-at-point.ts";

export interface ImagePath extends VmAtPoint {
  /** VOLUME[:PATH]. */
  readonly rest: string;
}

export interface VolumePath {
  readonly volume: string;
  /** Undefined where none was given. */
  readonly path: string | undefined;
}

export function parseImagePath(text: string): ImagePath {
  const colon = text.indexOf(":");
  const rest = colon === -1 ? "" : text.slice(colon + 1);
  if (rest !== "") return { ...parseVmAtPoint(text.slice(0, colon)), rest };
  throw new FarsideError(
    "bad-input",
    `${quote(text)} names no volume: write VM[@POINT]:VOLUME:PATH, with a volume that "farside volumes VM" lists.`,
  );
}

/** The longest of these names that `rest` begins with; where none fits, what stands before the first colon. */
export function splitVolume(rest: string, names: readonly string[]): VolumePath {
  const fits = names.filter((name) => rest === name || rest.startsWith(`${name}:`));
  const [longest] = fits.toSorted((one, other) => other.length - one.length);
  const colon = rest.indexOf(":");
  const volume = longest ?? (colon === -1 ? rest : rest.slice(0, colon));
  return { volume, path: rest.length > volume.length ? rest.slice(volume.length + 1) : undefined };
}

/** Throws `bad-input` where no path was given. */
export function neededPath(rest: string, { path }: VolumePath): string {
  if (path !== undefined && path !== "") return path;
  throw new FarsideError("bad-input", `${quote(rest)} names no file: write VM[@POINT]:VOLUME:PATH.`);
}
