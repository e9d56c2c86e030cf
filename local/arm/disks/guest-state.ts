/**
 * The VM guest state of a trusted-launch OS disk: firmware variables and virtual TPM, in a blob of its own beside the disk's. It is copied
 * with the disk, and has its own SAS where one is asked for ("Trusted launch for Azure virtual machines"; GrantAccessData).
 */
import { randomBytes } from "node:crypto";
import { ServiceError } from "../service-error.ts";
import { asObject, type Json, type Resource } from "../resources.ts";
import { newDiskBytes } from "./disk-bytes.ts";
import type { Bytes, DiskStore } from "./disk-store.ts";

/** Without the footer. The documentation gives no size: this one is ours, and a client must ask the SAS for it. */
export const guestStateBytes = 4 * 1024 ** 2;

/** Whether a disk of these properties has a guest state. */
export function isTrustedLaunch(properties: Json): boolean {
  return asObject(properties["securityProfile"])["securityType"] === "TrustedLaunch";
}

/** As a first start leaves it: of no two VMs the same. */
export async function bornGuestState(store: DiskStore, now: number): Promise<Bytes> {
  const made = await emptyGuestState(store, now);
  await store.write(made, 0, randomBytes(4096));
  return made;
}

/** As it is before an upload. */
export function emptyGuestState(store: DiskStore, now: number): Promise<Bytes> {
  return newDiskBytes(store, guestStateBytes, now);
}

/** What a SAS of the guest state names, where that of the disk names the resource. */
export function guestStateId(resourceId: string): string {
  return `${resourceId}#guest-state`;
}

/** The resource whose bytes these are, and which. */
export function bytesNamed(id: string, resource: (id: string) => Resource): Bytes | undefined {
  const [resourceId = "", part] = id.split("#");
  const found = resource(resourceId);
  return part === undefined ? found.bytes : found.guestState;
}

/** Throws where a disk, snapshot or disk restore point has none. */
export function requireGuestState(resource: Resource): void {
  if (resource.guestState !== undefined) return;
  const text = `${resource.id} has no VM guest state: its securityType is not TrustedLaunch.`;
  throw new ServiceError(400, "InvalidParameter", text);
}
