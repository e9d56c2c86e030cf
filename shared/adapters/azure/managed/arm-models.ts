/** What is read of ARM's answers, as it is written there. Everything else in them is kept by the captured configuration, and not looked at. */
import { z } from "zod";
import { FarsideError } from "../../../core/errors.ts";

const subResource = z.object({ id: z.string() });
const vmDisk = z.object({
  name: z.string().optional(),
  lun: z.int().optional(),
  caching: z.string().optional(),
  managedDisk: subResource.partial().optional(),
  diffDiskSettings: z.object({ option: z.string().optional() }).optional(),
  vhd: z.unknown().optional(),
});

export const vmModel = z.object({
  id: z.string(),
  location: z.string(),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.object({
    hardwareProfile: z.object({ vmSize: z.string().optional() }).optional(),
    provisioningState: z.string().optional(),
    priority: z.string().optional(),
    storageProfile: z.object({
      osDisk: vmDisk.extend({ osType: z.string().optional() }),
      dataDisks: z.array(vmDisk).optional(),
    }),
    securityProfile: z.object({ securityType: z.string().optional() }).optional(),
    networkProfile: z.object({ networkInterfaces: z.array(subResource).optional() }).optional(),
    instanceView: z.object({ statuses: z.array(z.object({ code: z.string() })).optional() }).optional(),
  }),
});
export type VmModel = z.output<typeof vmModel>;

export const diskModel = z.object({
  id: z.string(),
  name: z.string(),
  sku: z.object({ name: z.string() }).optional(),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.object({
    uniqueId: z.string(),
    diskSizeBytes: z.int().positive(),
    maxShares: z.int().optional(),
    provisioningState: z.string().optional(),
    networkAccessPolicy: z.string().optional(),
    dataAccessAuthMode: z.string().optional(),
    creationData: z.object({ logicalSectorSize: z.int().optional() }).optional(),
  }),
});
export type DiskModel = z.output<typeof diskModel>;

/** Of a disk that a restore point or a snapshot keeps. */
export const diskPointModel = z.object({
  id: z.string(),
  properties: z.object({
    sourceUniqueId: z.string().optional(),
    diskSizeBytes: z.int().positive().optional(),
    diskSizeGB: z.int().positive().optional(),
    completionPercent: z.number().optional(),
    snapshotAccessState: z.string().optional(),
    timeCreated: z.string().optional(),
  }),
});
export type DiskPointModel = z.output<typeof diskPointModel>;

const keptDisk = z.object({ name: z.string().optional(), diskRestorePoint: subResource.partial().optional() });
export const restorePointModel = z.object({
  id: z.string(),
  name: z.string(),
  properties: z.object({
    provisioningState: z.string().optional(),
    consistencyMode: z.string().optional(),
    timeCreated: z.string().optional(),
    sourceMetadata: z
      .object({
        storageProfile: z.object({ osDisk: keptDisk.optional(), dataDisks: z.array(keptDisk).optional() }).optional(),
      })
      .optional(),
  }),
});

export const collectionModel = z.object({
  properties: z.object({ restorePoints: z.array(restorePointModel).optional() }),
});

export const snapshotModel = z.object({
  id: z.string(),
  name: z.string(),
  tags: z.record(z.string(), z.string()).optional(),
  properties: z.object({
    provisioningState: z.string().optional(),
    diskSizeBytes: z.int().positive().optional(),
    timeCreated: z.string().optional(),
    completionPercent: z.number().optional(),
    snapshotAccessState: z.string().optional(),
    creationData: z.object({ sourceUniqueId: z.string().optional() }).optional(),
  }),
});

/** Throws `source-corrupt`. */
export function parseModel<T>(model: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = model.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new FarsideError(
    "source-corrupt",
    `Azure's answer about ${what} is not one: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`.trim(),
  );
}
