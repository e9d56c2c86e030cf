/**
 * What a restore to the platform is asked to make: managed disks, a new VM with them, or the disks of the VM that stands, exchanged. A
 * resource group lies in any subscription and region that the service may write to.
 */
import type { ResourceGroupId } from "./resource-id.ts";

/** How the disks are made. What is absent is as the captured configuration has it, and where there is none, the platform's default. */
export interface DiskWishes {
  /** E.g. `Premium_LRS`. */
  readonly sku?: string;
  /** An availability zone, `1` to `3`; `none` for a disk of no zone. */
  readonly zone?: string;
  /** ARM id of a disk encryption set. */
  readonly diskEncryptionSetId?: string;
  /** Disks are named `<prefix>-<disk>`. Absent: the VM's name and the point's instant. */
  readonly namePrefix?: string;
}

export interface ManagedDisksTarget extends DiskWishes {
  readonly kind: "managed-disks";
  readonly resourceGroup: ResourceGroupId;
  /** A region as ARM writes it, e.g. `westeurope`. */
  readonly location: string;
}

/** A new VM from the captured configuration. What is absent is as it was captured, where the region allows it. */
export interface ManagedVmTarget extends DiskWishes {
  readonly kind: "managed-vm";
  readonly name: string;
  readonly resourceGroup: ResourceGroupId;
  /** Absent: the captured one. */
  readonly location?: string;
  /** E.g. `Standard_D4s_v5`. */
  readonly size?: string;
  /** ARM id of a subnet. Absent: the captured one, which must be in the VM's new region and subscription. */
  readonly subnetId?: string;
  /** ARM id; `none` for an interface without one. */
  readonly networkSecurityGroupId?: string;
  /** Ask for the private addresses that the VM had, where the subnet is the captured one or holds them. */
  readonly keepPrivateAddresses?: boolean;
  /** Leave it deallocated when it is made: nobody's production twin answers by accident. */
  readonly leaveStopped?: boolean;
}

/** The disks of the VM that stands are exchanged for restored ones. The old ones stay, detached: the way back. */
export interface SwapDisksTarget extends Pick<DiskWishes, "namePrefix"> {
  readonly kind: "swap-disks";
  /** Stop a running VM for it, and start it again afterwards; else a running VM is refused. */
  readonly mayStop: boolean;
}

export type MachineTargetSpec = ManagedDisksTarget | ManagedVmTarget | SwapDisksTarget;

/** What a restore has made or exchanged at the platform, for people and programs. */
export interface MadeResource {
  /** `disk`, `network-interface`, `public-address`, `vm`, `detached-disk`. */
  readonly kind: "disk" | "network-interface" | "public-address" | "vm" | "detached-disk";
  /** ARM id. */
  readonly id: string;
}
