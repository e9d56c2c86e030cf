/** Whether a size can carry a VM: as many disks and interfaces, of the kinds that it will have (the capabilities of Microsoft.Compute/skus). Pure. */
import { FarsideError } from "../../../../core/errors.ts";
import { capability, type RegionSku } from "./region-skus.ts";

export interface Load {
  readonly dataDisks: number;
  readonly interfaces: number;
  readonly diskSkus: readonly (string | undefined)[];
  readonly generation: string | undefined;
  readonly isTrusted: boolean;
  readonly encryptsAtHost: boolean;
  /** `SCSI` or `NVMe`: what the system in it knows to start from. */
  readonly controller: string | undefined;
  /** `x64` or `Arm64`. */
  readonly architecture: string | undefined;
}

/** Throws `not-supported`. */
export function checkSize(size: RegionSku, load: Load): void {
  const name = size.name ?? "";
  const refuse = (why: string): never => {
    throw new FarsideError(
      "not-supported",
      `The size ${name} does not fit the VM: ${why}. Choose another with --size.`,
    );
  };
  const most = (of: string): number => Number(capability(size, of) ?? Number.POSITIVE_INFINITY);
  const can = (what: string): boolean => /^true$/i.test(capability(size, what) ?? "");
  if (load.dataDisks > most("MaxDataDiskCount")) {
    refuse(`it takes ${most("MaxDataDiskCount")} data disks, and there are ${load.dataDisks}`);
  }
  if (load.interfaces > most("MaxNetworkInterfaces")) {
    refuse(`it takes ${most("MaxNetworkInterfaces")} network interfaces, and there are ${load.interfaces}`);
  }
  // Standard SSD and HDD go with all sizes.
  const premium = load.diskSkus.find((sku) => /^(?:Premium|PremiumV2|UltraSSD)_/i.test(sku ?? ""));
  if (premium !== undefined && !can("PremiumIO")) refuse(`it takes no ${premium} disks (or choose others with --sku)`);
  const generations = capability(size, "HyperVGenerations")?.split(",");
  if (load.generation !== undefined && generations !== undefined && !generations.includes(load.generation)) {
    refuse(`it starts generation ${generations.join(", ")}, and the OS disk is of ${load.generation}`);
  }
  const controllers = capability(size, "DiskControllerTypes")
    ?.split(",")
    .map((one) => one.trim().toLowerCase());
  if (load.controller !== undefined && controllers?.includes(load.controller.toLowerCase()) === false) {
    refuse(`it has no ${load.controller} disk controller, which the VM has`);
  }
  const architecture = capability(size, "CpuArchitectureType");
  if (load.architecture !== undefined && architecture?.toLowerCase() === otherOf(load.architecture)) {
    refuse(`its processors are ${architecture ?? ""}, and the OS disk is for ${load.architecture}`);
  }
  if (load.isTrusted && can("TrustedLaunchDisabled")) refuse("it has no trusted launch");
  if (load.encryptsAtHost && !can("EncryptionAtHostSupported")) refuse("it has no encryption at host");
}

function otherOf(architecture: string): string {
  return architecture.toLowerCase() === "arm64" ? "x64" : "arm64";
}
