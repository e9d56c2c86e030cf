/**
 * What a discovered VM is called here. Azure's names have letters that ours may not have, and two resource groups may have VMs of one
 * name: then the name gets a suffix from the resource id, which is the same whenever it is made. The row keeps what was chosen once.
 */
import { createHash } from "node:crypto";
import { parseVmName, type VmName } from "./ids.ts";
import type { VmResourceId } from "./resource-id.ts";

/** As many letters as leave room for the suffix in a name of 64. */
const longestStem = 55;

/** The first that is free is taken. */
export function discoveredNames(name: string, resourceId: VmResourceId): readonly VmName[] {
  const suffix = createHash("sha256").update(resourceId.toLowerCase()).digest("hex").slice(0, 8);
  const stem = name
    .replaceAll(/[^A-Za-z0-9._-]+/g, "-")
    .slice(0, longestStem)
    .replaceAll(/^[._-]+|[._-]+$/g, "");
  return [...asItIs(name), parseVmName(`${stem === "" ? "vm" : stem}-${suffix}`)];
}

function asItIs(name: string): readonly VmName[] {
  try {
    return [parseVmName(name)];
  } catch {
    return [];
  }
}
