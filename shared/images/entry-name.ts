import { imageCorrupt } from "./image-errors.ts";

/**
 * `name`, where a directory may have it. Throws `image-corrupt` for one that would lead elsewhere when it is joined to a path; no file
 * system that makes such names is known.
 */
export function entryName(name: string, where: string): string {
  if (name === "" || name === "." || name === ".." || name.includes("/") || name.includes("\0")) {
    throw imageCorrupt(where, `${JSON.stringify(name)} cannot be the name of an entry`);
  }
  return name;
}
