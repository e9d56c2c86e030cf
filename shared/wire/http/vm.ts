/** Protected VMs over HTTP. */
import { z } from "zod";
import type { ProtectedVm, VmSource, VmState } from "../../core/vm.ts";
import { diskNameSchema, instantSchema, pointIdSchema, policyNameSchema, runIdSchema, vmNameSchema } from "./names.ts";

/** A SAS or a password in a URL would end up in rows and logs. */
function plainUrl(what: string): z.ZodType<string, string> {
  return z
    .string()
    .max(2048)
    .superRefine((text, check) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url === undefined || !/^https?:$/.test(url.protocol)) {
        check.addIssue({
          code: "custom",
          message: `This is not ${what}: give one that begins with https:// or http://.`,
        });
      } else if (url.search !== "" || url.hash !== "" || url.username !== "" || url.password !== "") {
        check.addIssue({
          code: "custom",
          message: `Give ${what} without a SAS, a fragment or a password: Farside uses the account it is configured with.`,
        });
      }
    })
    .meta({ format: "uri" });
}

const diskSchema = z.strictObject({
  name: diskNameSchema,
  url: plainUrl("the URL of a page blob"),
  lun: z.int().min(0).max(255).optional(),
  role: z.enum(["os", "data"]).optional().describe("Where no disk has a role, the first is the OS disk."),
});

const pageBlobSchema = z.strictObject({
  kind: z.literal("page-blob"),
  disks: z.array(diskSchema).min(1).max(65),
  guestUrl: plainUrl("the URL of the guest's webhook").optional(),
  powerState: z.enum(["running", "stopped"]).optional(),
});

const diskRulesSchema = z
  .array(
    z.discriminatedUnion("kind", [
      z.strictObject({
        kind: z.literal("name"),
        pattern: z
          .string()
          .max(80)
          .regex(/^[\p{L}\p{N}._*-]+$/u, 'This is no name of a disk: letters, digits, ".", "_", "-" and "*".')
          .describe('Of the disk resource; "*" stands for any letters.'),
      }),
      z.strictObject({ kind: z.literal("lun"), lun: z.int().min(0).max(63) }),
      z.strictObject({
        kind: z.literal("tag"),
        name: z.string().min(1).max(512).describe("Of a tag of the disk resource."),
        value: z.string().max(256).exactOptional().describe("Any, where it is left away."),
      }),
    ]),
  )
  .min(1)
  .max(100);

const managedSchema = z.strictObject({
  kind: z.literal("managed"),
  resourceId: z
    .string()
    .max(1024)
    .describe("/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>"),
  disks: z
    .strictObject({
      include: diskRulesSchema.exactOptional().describe("Where it is given, only disks that one of these matches."),
      exclude: diskRulesSchema.exactOptional().describe("Left out in any case, also the OS disk."),
    })
    .optional()
    .describe("Which disks are backed up; all, where it is left away. Those tagged farside-exclude=true never are."),
});

const sourceSchema = z.discriminatedUnion("kind", [pageBlobSchema, managedSchema]);

/** What PUT takes. */
export const vmBodySchema = z.strictObject({
  policy: policyNameSchema,
  source: sourceSchema,
  osType: z.enum(["linux", "windows"]).optional(),
  osVersion: z.string().min(1).max(100).optional(),
  role: z.enum(["domain-controller"]).optional(),
});

/** What GET answers. */
export const vmViewSchema = z.object({
  ...vmBodySchema.shape,
  protectedBy: z.enum(["manual", "tag"]).default("manual").describe("tag: by discovery, and until the tag goes."),
  name: vmNameSchema,
  vmId: z.string(),
  protectedAt: instantSchema,
  updatedAt: instantSchema,
  activeRunId: runIdSchema.optional(),
  lastRunId: runIdSchema.optional(),
  lastRestorePointId: pointIdSchema.optional(),
  lastRestorePointAt: instantSchema.optional(),
  warnings: z
    .array(z.string())
    .optional()
    .describe("Of PUT alone: what was taken as it is, and may be a mistake, such as a rule that matches no disk."),
});
export type VmView = z.output<typeof vmViewSchema>;

export function vmView(vm: ProtectedVm, state: VmState | undefined): VmView {
  const { source, protectedBy = "manual", ...rest } = vm;
  return {
    ...rest,
    protectedBy,
    source: sourceView(source),
    ...(state?.activeRunId === undefined ? {} : { activeRunId: state.activeRunId }),
    ...(state?.lastRunId === undefined ? {} : { lastRunId: state.lastRunId }),
    ...(state?.lastPointId === undefined ? {} : { lastRestorePointId: state.lastPointId }),
    ...(state?.lastPointAt === undefined ? {} : { lastRestorePointAt: state.lastPointAt }),
  };
}

function sourceView(source: VmSource): VmView["source"] {
  if (source.kind === "page-blob") return { ...source, disks: source.disks.map((disk) => ({ ...disk })) };
  const { kind, resourceId, disks } = source;
  if (disks === undefined) return { kind, resourceId };
  const { include, exclude } = disks;
  return {
    kind,
    resourceId,
    disks: {
      ...(include === undefined ? {} : { include: include.map((rule) => ({ ...rule })) }),
      ...(exclude === undefined ? {} : { exclude: exclude.map((rule) => ({ ...rule })) }),
    },
  };
}

/** The container that a restore writes to. */
export const containerUrlSchema: z.ZodType<string, string> = plainUrl("the URL of a container");
