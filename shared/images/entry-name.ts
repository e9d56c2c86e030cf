import { imageCorrupt } from "./image-errors.ts";

/** Whether a directory may have an entry of this name: others would lead elsewhere when they are joined to a path. */
export function isEntryName(name: string): boolean {
  return name !== "" && name !== "." && name !== ".." && !name.includes("/") && !name.includes("\0");
}

/** `name` as it is. Throws `image-corrupt` for one that no directory may have; nothing is known that makes them. */
export function entryName(name: string, where: string): string {
  if (isEntryName(name)) return name;
  throw imageCorrupt(where, `${JSON.stringify(name)} cannot be the name of an entry`);
}
