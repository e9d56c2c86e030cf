/** Protected VMs over HTTP. */
import { z } from "zod";
import type { ProtectedVm, VmState } from "../../core/vm.ts";
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

const managedSchema = z.strictObject({
  kind: z.literal("managed"),
  resourceId: z
    .string()
    .max(1024)
    .describe("/subscriptions/<id>/resourceGroups/<group>/providers/Microsoft.Compute/virtualMachines/<name>"),
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
  name: vmNameSchema,
  vmId: z.string(),
  protectedAt: instantSchema,
  updatedAt: instantSchema,
  activeRunId: runIdSchema.optional(),
  lastRunId: runIdSchema.optional(),
  lastRestorePointId: pointIdSchema.optional(),
  lastRestorePointAt: instantSchema.optional(),
});
export type VmView = z.output<typeof vmViewSchema>;

export function vmView(vm: ProtectedVm, state: VmState | undefined): VmView {
  const { source, ...rest } = vm;
  return {
    ...rest,
    source: source.kind === "managed" ? source : { ...source, disks: source.disks.map((disk) => ({ ...disk })) },
    ...(state?.activeRunId === undefined ? {} : { activeRunId: state.activeRunId }),
    ...(state?.lastRunId === undefined ? {} : { lastRunId: state.lastRunId }),
    ...(state?.lastPointId === undefined ? {} : { lastRestorePointId: state.lastPointId }),
    ...(state?.lastPointAt === undefined ? {} : { lastRestorePointAt: state.lastPointAt }),
  };
}

/** The container that a restore writes to. */
export const containerUrlSchema: z.ZodType<string, string> = plainUrl("the URL of a container");
