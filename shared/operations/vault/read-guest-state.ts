import { corrupt } from "../../core/vault/corrupt.ts";
import type { ManifestGuestState } from "../../core/vault/manifest.ts";
import { objectName } from "../../core/vault/object-id.ts";
import { guestStateLimitBytes } from "../../ports/disk-source.ts";
import type { OpenVault } from "./open-vault.ts";
import { readDisk } from "./read-disk.ts";

/** Whole, as it was kept. Throws `vault-corrupt`, also for one that is larger than any that is ever written. */
export async function readGuestState(
  vault: OpenVault,
  guestState: ManifestGuestState,
  signal: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const { index, sizeBytes } = guestState;
  if (sizeBytes > guestStateLimitBytes) {
    const defect = {
      object: objectName("disk-index", index),
      reason: "geometry-mismatch",
      expected: guestStateLimitBytes,
      found: sizeBytes,
    } as const;
    throw corrupt(defect, `a guest state of ${sizeBytes} bytes is none`);
  }
  const content = new Uint8Array(sizeBytes);
  for await (const piece of readDisk(vault, guestState, {}, signal)) {
    if (piece.kind === "data") content.set(piece.content, piece.offset);
  }
  return content;
}
