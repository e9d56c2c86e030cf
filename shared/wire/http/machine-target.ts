/** What a restore to the platform is asked to make. Names and ids are checked here; what the platform can and cannot do, by its preflight. */
import { z } from "zod";
import {
  parseDiskEncryptionSetId,
  parseDiskNamePrefix,
  parseDiskSku,
  parseLocation,
  parseMachineName,
  parseMachineSize,
  parseNetworkSecurityGroupId,
  parseSubnetId,
} from "../../core/machine-names.ts";
import { parsed, resourceGroupIdSchema } from "./names.ts";

const idFacts = { maxLength: 1024 };
const locationSchema = parsed(parseLocation, { pattern: "^[a-z0-9]{1,50}$" });
const namePrefix = parsed(parseDiskNamePrefix, { maxLength: 60 })
  .exactOptional()
  .describe("Disks are named <prefix>-<disk>. Absent: the VM's name and the point's instant.");

const wishes = {
  sku: parsed(parseDiskSku, { maxLength: 100 })
    .exactOptional()
    .describe("E.g. Premium_LRS. Absent: the captured one; where there is none, the platform's default."),
  zone: z
    .enum(["1", "2", "3", "none"])
    .exactOptional()
    .describe("An availability zone, or none. Absent: the captured one, where the region has zones."),
  diskEncryptionSetId: parsed(parseDiskEncryptionSetId, idFacts).exactOptional(),
  namePrefix,
};

export const managedDisksSchema = z
  .strictObject({
    kind: z.literal("managed-disks"),
    resourceGroup: resourceGroupIdSchema,
    location: locationSchema,
    ...wishes,
  })
  .describe("Managed disks in a resource group of any subscription and region that the service may write to.");

export const managedVmSchema = z
  .strictObject({
    kind: z.literal("managed-vm"),
    name: parsed(parseMachineName, { minLength: 1, maxLength: 64 }).describe("Of the new VM."),
    resourceGroup: resourceGroupIdSchema,
    location: locationSchema.exactOptional().describe("Absent: the captured one."),
    size: parsed(parseMachineSize, { maxLength: 100 })
      .exactOptional()
      .describe("E.g. Standard_D4s_v5. Absent: the captured one."),
    subnetId: parsed(parseSubnetId, idFacts)
      .exactOptional()
      .describe("Absent: the captured one, which must be in the VM's new region and subscription."),
    networkSecurityGroupId: parsed(parseNetworkSecurityGroupId, idFacts)
      .exactOptional()
      .describe('"none" for an interface without one.'),
    keepPrivateAddresses: z
      .boolean()
      .exactOptional()
      .describe("Ask for the private addresses that the VM had, where the subnet holds them."),
    leaveStopped: z.boolean().exactOptional().describe("Leave it deallocated when it is made."),
    ...wishes,
  })
  .describe("A new VM from the captured configuration.");

export const swapDisksSchema = z
  .strictObject({
    kind: z.literal("swap-disks"),
    mayStop: z
      .boolean()
      .default(false)
      .describe("Stop a running VM for it, and start it again afterwards; else a running VM is refused."),
    namePrefix,
  })
  .describe(
    "The disks of the VM that stands are exchanged for restored ones. The old ones stay, detached: the way back. The VM must be protected.",
  );
