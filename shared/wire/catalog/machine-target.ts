/** What restores to the platform are asked to make, and what they have made, in a run's row. */
import { z } from "zod";
import type {
  MachineTargetSpec,
  MadeResource,
  ManagedDisksTarget,
  ManagedVmTarget,
  SwapDisksTarget,
} from "../../core/machine-restore.ts";
import { record, resourceGroupId } from "./schema.ts";

const text = z.string().exactOptional();
const wishes = { sku: text, zone: text, diskEncryptionSetId: text, namePrefix: text };

/** One for each kind. */
export const machineTargets: readonly z.ZodType<MachineTargetSpec>[] = [
  record<ManagedDisksTarget>({
    kind: z.literal("managed-disks"),
    resourceGroup: resourceGroupId,
    location: z.string(),
    ...wishes,
  }),
  record<ManagedVmTarget>({
    kind: z.literal("managed-vm"),
    name: z.string(),
    resourceGroup: resourceGroupId,
    location: text,
    size: text,
    subnetId: text,
    networkSecurityGroupId: text,
    keepPrivateAddresses: z.boolean().exactOptional(),
    leaveStopped: z.boolean().exactOptional(),
    ...wishes,
  }),
  record<SwapDisksTarget>({ kind: z.literal("swap-disks"), mayStop: z.boolean(), namePrefix: text }),
];

export const madeResource = record<MadeResource>({
  kind: z.enum(["disk", "network-interface", "public-address", "vm", "detached-disk"]),
  id: z.string(),
});
