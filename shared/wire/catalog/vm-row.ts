import { z } from "zod";
import type { DiskRule, DiskRules } from "../../core/disk-selection.ts";
import type { ManagedSource, PageBlobDisk, PageBlobSource, ProtectedVm, VmSource, VmState } from "../../core/vm.ts";
import {
  count,
  diskName,
  diskRole,
  pointId,
  policyName,
  record,
  runId,
  timestamp,
  variants,
  vmId,
  vmName,
  vmResourceId,
} from "./schema.ts";

const pageBlobDisk = record<PageBlobDisk>({
  name: diskName,
  url: z.string(),
  lun: count.exactOptional(),
  role: diskRole,
});

const pageBlobSource = record<PageBlobSource>({
  kind: z.literal("page-blob"),
  disks: z.array(pageBlobDisk),
  guestUrl: z.string().exactOptional(),
  powerState: z.enum(["running", "stopped"]).exactOptional(),
});

type RuleOf<Kind extends DiskRule["kind"]> = Extract<DiskRule, { readonly kind: Kind }>;

const diskRules = z.array(
  variants<DiskRule>("kind", [
    record<RuleOf<"name">>({ kind: z.literal("name"), pattern: z.string() }),
    record<RuleOf<"lun">>({ kind: z.literal("lun"), lun: count }),
    record<RuleOf<"tag">>({ kind: z.literal("tag"), name: z.string(), value: z.string().exactOptional() }),
  ]),
);

const managedSource = record<ManagedSource>({
  kind: z.literal("managed"),
  resourceId: vmResourceId,
  disks: record<DiskRules>({ include: diskRules.exactOptional(), exclude: diskRules.exactOptional() }).exactOptional(),
});

export const vmSource = variants<VmSource>("kind", [pageBlobSource, managedSource]);

export const vmRow = record<ProtectedVm>({
  name: vmName,
  vmId,
  policy: policyName,
  protectedBy: z.literal("tag").exactOptional(),
  source: vmSource,
  osType: z.enum(["linux", "windows"]).exactOptional(),
  osVersion: z.string().exactOptional(),
  role: z.literal("domain-controller").exactOptional(),
  protectedAt: timestamp,
  updatedAt: timestamp,
});

export const vmStateRow = record<VmState>({
  vmId,
  activeRunId: runId.exactOptional(),
  lastRunId: runId.exactOptional(),
  lastPointId: pointId.exactOptional(),
  lastPointAt: timestamp.exactOptional(),
  reverts: z.array(runId).exactOptional(),
  halfReverts: z.array(runId).exactOptional(),
});
