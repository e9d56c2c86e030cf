/** The virtual TPM and firmware state of a trusted-launch VM: kept beside its OS disk, as a small disk of its own. */
import type { ManifestDisk } from "../../core/vault/manifest.ts";
import type { MachineDisk } from "../../ports/machine-target.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readDisk, type DiskRef } from "../vault/read-disk.ts";

/** Undefined for a disk that was backed up without one. */
export function guestStateOf(
  vault: OpenVault,
  { guestState }: ManifestDisk & { readonly guestState?: DiskRef },
): MachineDisk["guestState"] {
  if (guestState === undefined) return undefined;
  return { sizeBytes: guestState.sizeBytes, read: (signal) => readWhole(vault, guestState, signal) };
}

async function readWhole(vault: OpenVault, disk: DiskRef, signal: AbortSignal): Promise<Uint8Array> {
  const whole = new Uint8Array(disk.sizeBytes);
  for await (const piece of readDisk(vault, disk, {}, signal)) {
    if (piece.kind === "data") whole.set(piece.content, piece.offset);
  }
  return whole;
}
