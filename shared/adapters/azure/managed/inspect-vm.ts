/** A VM of Azure as it is now: its power state, what it is going through, its disks, and everything that is needed to make it again. */
import type { TransientCondition } from "../../../core/preflight.ts";
import type { ManagedSource, PowerState } from "../../../core/vm.ts";
import type { VmInspection } from "../../../ports/disk-source.ts";
import type { ArmConnection } from "./arm-connection.ts";
import { apiVersions } from "./arm-connection.ts";
import { parseModel, vmModel, type VmModel } from "./arm-models.ts";
import { captured } from "./captured-configuration.ts";
import { stopCosts } from "./stop-costs.ts";
import { nameOf, readVmDisks, refuse, type InspectedDisk, type LeftManagedDisk } from "./vm-disks.ts";

export interface ManagedInspection extends VmInspection {
  readonly disks: readonly InspectedDisk[];
  readonly leftDisks: readonly LeftManagedDisk[];
  readonly location: string;
  /** Why the platform does not guarantee that a crash-consistent restore point holds the disks at one instant; undefined where it does. */
  readonly crashDoubt: string | undefined;
}

const compute = { "api-version": apiVersions.compute };

/** Requests: one for the VM with its state, one for its user data, one for its extensions, one for each disk, each network interface and address. */
export async function inspectVm(
  arm: ArmConnection,
  { resourceId, disks: rules = {} }: Pick<ManagedSource, "resourceId" | "disks">,
  signal: AbortSignal,
): Promise<ManagedInspection> {
  const what = `the VM ${nameOf(resourceId)}`;
  const raw = await arm.get(resourceId, { ...compute, $expand: "instanceView" }, `look at ${what}`, signal);
  const vm = parseModel(vmModel, raw, what);
  refuseVm(vm, what);
  const { disks, left, idleRules, rawDisks, unread, isChanging } = await readVmDisks(arm, vm, rules, signal);
  const conditions = new Set(vmConditions(vm));
  if (isChanging) conditions.add("provisioning");
  const configuration = await captured(arm, { resourceId, raw, vm, rawDisks, left, unread }, signal);
  return {
    powerState: powerOf(vm),
    conditions: [...conditions],
    disks,
    leftDisks: left,
    idleRules,
    location: vm.location,
    crashDoubt: crashDoubt(vm, new Set(left.map(({ id }) => id))),
    configuration,
    stopCosts: stopCosts(vm, configuration),
  };
}

function refuseVm(vm: VmModel, what: string): void {
  if (vm.properties.securityProfile?.securityType === "ConfidentialVM") {
    refuse(`${what} is a confidential VM: the platform lets nobody read its disks from outside.`);
  }
}

function powerOf(vm: VmModel): PowerState {
  const codes = statusCodes(vm);
  if (codes.includes("powerstate/running")) return "running";
  return codes.includes("powerstate/stopped") || codes.includes("powerstate/deallocated") ? "stopped" : "unknown";
}

function vmConditions(vm: VmModel): readonly TransientCondition[] {
  const states = [vm.properties.provisioningState?.toLowerCase(), ...statusCodes(vm)];
  if (states.some((state) => state?.endsWith("migrating"))) return ["migration-in-progress"];
  const changing = ["creating", "updating", "deleting", "starting", "stopping", "deallocating"];
  return states.some((state) => changing.some((word) => state === word || state?.endsWith(`/${word}`) === true))
    ? ["provisioning"]
    : [];
}

/** The documented cases (restore points, "crash consistency"): host caching of writes, and the newest sizes with several data disks. */
function crashDoubt(vm: VmModel, left: ReadonlySet<string>): string | undefined {
  const { storageProfile, hardwareProfile } = vm.properties;
  const isKept = (disk: { readonly managedDisk?: { readonly id?: string | undefined } | undefined }) =>
    !left.has(disk.managedDisk?.id ?? "");
  const dataDisks = (storageProfile.dataDisks ?? []).filter(isKept);
  const osDisks = [storageProfile.osDisk].filter(isKept);
  if ([...osDisks, ...dataDisks].some(({ caching }) => caching === "ReadWrite")) {
    return "A disk's host cache holds writes (ReadWrite): the platform does not guarantee the order of writes across the disks.";
  }
  const version = Number(/_v(\d+)$/.exec(hardwareProfile?.vmSize ?? "")?.[1] ?? 0);
  return version >= 6 && dataDisks.length > 1
    ? "Of this size with several data disks the platform does not guarantee the order of writes across the disks."
    : undefined;
}

export function statusCodes(vm: VmModel): readonly string[] {
  return (vm.properties.instanceView?.statuses ?? []).map(({ code }) => code.toLowerCase());
}
