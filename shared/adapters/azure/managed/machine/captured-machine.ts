/**
 * The captured configuration as a restore reads it (captured-configuration.ts writes it): ARM's own JSON of the VM, its disks and network
 * interfaces. It comes out of the vault, perhaps of years ago and another release: nothing in it is trusted.
 */
import { z } from "zod";
import { FarsideError } from "../../../../core/errors.ts";
import type { MachineDisk, MachineRestore } from "../../../../ports/machine-target.ts";
import { isSameId } from "./names.ts";

const reference = z.object({ id: z.string() });
const tags = z.record(z.string(), z.string());
const anything = z.record(z.string(), z.unknown());

export const capturedDisk = z.object({
  id: z.string(),
  location: z.string().optional(),
  zones: z.array(z.string()).optional(),
  sku: z.object({ name: z.string() }).optional(),
  tags: tags.optional(),
  properties: z.object({
    osType: z.string().optional(),
    hyperVGeneration: z.string().optional(),
    tier: z.string().optional(),
    diskIOPSReadWrite: z.number().optional(),
    diskMBpsReadWrite: z.number().optional(),
    burstingEnabled: z.boolean().optional(),
    encryption: z.object({ type: z.string().optional(), diskEncryptionSetId: z.string().optional() }).optional(),
    encryptionSettingsCollection: z.object({ enabled: z.boolean().optional() }).optional(),
    purchasePlan: anything.optional(),
    supportedCapabilities: anything.optional(),
    securityProfile: z.object({ securityType: z.string().optional() }).optional(),
    networkAccessPolicy: z.string().optional(),
    publicNetworkAccess: z.string().optional(),
  }),
});
export type CapturedDisk = z.output<typeof capturedDisk>;

/** All of it: what is exchanged keeps the rest of its slot. */
const slot = z.looseObject({
  name: z.string().optional(),
  lun: z.int().optional(),
  caching: z.string().optional(),
  writeAcceleratorEnabled: z.boolean().optional(),
  managedDisk: reference.partial().optional(),
});

export const capturedVm = z.object({
  id: z.string(),
  location: z.string(),
  zones: z.array(z.string()).optional(),
  tags: tags.optional(),
  plan: anything.optional(),
  identity: z
    .object({ type: z.string().optional(), userAssignedIdentities: z.record(z.string(), z.unknown()).optional() })
    .optional(),
  properties: z.object({
    hardwareProfile: z.object({ vmSize: z.string().optional(), vmSizeProperties: anything.optional() }).optional(),
    storageProfile: z.object({
      osDisk: slot.extend({ osType: z.string().optional() }),
      dataDisks: z.array(slot).optional(),
      diskControllerType: z.string().optional(),
    }),
    additionalCapabilities: anything.optional(),
    securityProfile: z
      .object({
        securityType: z.string().optional(),
        encryptionAtHost: z.boolean().optional(),
        uefiSettings: anything.optional(),
      })
      .optional(),
    networkProfile: z
      .object({
        networkInterfaces: z
          .array(reference.extend({ properties: z.object({ primary: z.boolean().optional() }).optional() }))
          .optional(),
      })
      .optional(),
    diagnosticsProfile: z
      .object({
        bootDiagnostics: z.object({ enabled: z.boolean().optional(), storageUri: z.string().optional() }).optional(),
      })
      .optional(),
    availabilitySet: reference.optional(),
    proximityPlacementGroup: reference.optional(),
    virtualMachineScaleSet: reference.optional(),
    host: reference.optional(),
    hostGroup: reference.optional(),
    capacityReservation: z.object({ capacityReservationGroup: reference.optional() }).optional(),
    priority: z.string().optional(),
    evictionPolicy: z.string().optional(),
    billingProfile: anything.optional(),
    licenseType: z.string().optional(),
    scheduledEventsProfile: anything.optional(),
  }),
});
export type CapturedVm = z.output<typeof capturedVm>;

export const capturedInterface = z.object({
  id: z.string(),
  location: z.string().optional(),
  tags: tags.optional(),
  properties: z.object({
    primary: z.boolean().optional(),
    enableAcceleratedNetworking: z.boolean().optional(),
    enableIPForwarding: z.boolean().optional(),
    networkSecurityGroup: reference.optional(),
    dnsSettings: z.object({ dnsServers: z.array(z.string()).optional() }).optional(),
    ipConfigurations: z
      .array(
        z.object({
          name: z.string().optional(),
          properties: z.object({
            primary: z.boolean().optional(),
            privateIPAddress: z.string().optional(),
            privateIPAddressVersion: z.string().optional(),
            privateIPAllocationMethod: z.string().optional(),
            subnet: reference.optional(),
            publicIPAddress: reference.optional(),
            loadBalancerBackendAddressPools: z.array(reference).optional(),
            loadBalancerInboundNatRules: z.array(reference).optional(),
            applicationGatewayBackendAddressPools: z.array(reference).optional(),
            applicationSecurityGroups: z.array(reference).optional(),
          }),
        }),
      )
      .min(1),
  }),
});
export type CapturedInterface = z.output<typeof capturedInterface>;

const extension = z.object({
  name: z.string(),
  properties: z.object({ publisher: z.string().optional(), type: z.string().optional() }).optional(),
});

const capturedMachine = z.object({
  kind: z.literal("managed"),
  vm: capturedVm,
  userData: z.string().optional(),
  disks: z.array(capturedDisk),
  extensions: z.array(extension).optional(),
  networkInterfaces: z.array(capturedInterface).optional(),
  missing: z.array(z.string()).optional(),
});
export type CapturedMachine = z.output<typeof capturedMachine>;

/** Undefined where another kind of source captured it. Throws `refused` for one that is damaged. */
export function capturedOf({ configuration }: Pick<MachineRestore, "configuration">): CapturedMachine | undefined {
  if (configuration["kind"] !== "managed") return undefined;
  const parsed = capturedMachine.safeParse(configuration);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new FarsideError(
    "refused",
    `The configuration that was captured with this restore point cannot be read (${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}): restore it as managed disks, and make the VM of them by hand.`,
  );
}

/** The slot of the VM that a disk of the point was attached at. */
export function slotOf(vm: CapturedVm, disk: Pick<MachineDisk, "role" | "lun">) {
  const { osDisk, dataDisks = [] } = vm.properties.storageProfile;
  return disk.role === "os" ? osDisk : dataDisks.find(({ lun }) => lun === disk.lun);
}

export function capturedDiskOf(captured: CapturedMachine, disk: MachineDisk): CapturedDisk | undefined {
  const id = slotOf(captured.vm, disk)?.managedDisk?.id;
  return captured.disks.find((one) => isSameId(one.id, id));
}
