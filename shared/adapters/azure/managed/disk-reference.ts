/** How the source finds a snapshot again: what kind of resource it is, and its id. Never a SAS. */
import { FarsideError } from "../../../core/errors.ts";
import { requireParts } from "./arm-connection.ts";

export type Reference = Readonly<Record<string, string>>;

export type DiskReference =
  | { readonly kind: "disk-restore-point"; readonly id: string }
  /** A restore point that is not finished, and so has no disks yet. */
  | { readonly kind: "restore-point"; readonly id: string }
  | { readonly kind: "snapshot"; readonly id: string };

export function parseReference(reference: Reference): DiskReference {
  const { kind, id } = reference;
  if (id !== undefined && (kind === "disk-restore-point" || kind === "restore-point" || kind === "snapshot")) {
    return { kind, id };
  }
  throw new FarsideError("internal", "A snapshot's reference is none of a managed disk.");
}

/** For messages. */
export function shownReference({ kind, id }: DiskReference): string {
  const { path, resourceGroup } = requireParts(id);
  return `the ${kind.replaceAll("-", " ")} ${path.map(([, name]) => name).join("/")} in ${resourceGroup}`;
}

/** The restore point that a disk's restore point lies in. */
export function pointOf(id: string): string {
  return id.split("/").slice(0, -2).join("/");
}
