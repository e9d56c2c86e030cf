/**
 * A new VM is a copy: with the tag that protects the one it is a copy of, the next look for tags would protect it as well, unasked. VMs that
 * stand keep theirs.
 */
import type { MachineRestore } from "../../../../ports/machine-target.ts";

/** Pure. The configuration is checked by whoever reads it (captured-machine.ts). */
export function unprotectedCopy(
  restore: MachineRestore,
  discoveryTag: string,
): { readonly restore: MachineRestore; readonly notes: readonly string[] } {
  const { target, configuration } = restore;
  const { vm } = configuration;
  if (target.kind !== "managed-vm" || !isObject(vm) || !isObject(vm["tags"])) return { restore, notes: [] };
  const all = Object.entries(vm["tags"]);
  const kept = all.filter(([name]) => name.toLowerCase() !== discoveryTag.toLowerCase());
  if (kept.length === all.length) return { restore, notes: [] };
  return {
    restore: { ...restore, configuration: { ...configuration, vm: { ...vm, tags: Object.fromEntries(kept) } } },
    notes: [
      `The new VM does not get the tag ${discoveryTag}, so that it is not protected unasked: give it the tag where it is to be.`,
    ],
  };
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
