import type { Defect } from "../../core/vault/corrupt.ts";
import { corrupt, defectOf } from "../../core/vault/corrupt.ts";
import type { PointId, VmId } from "../../core/ids.ts";
import { maxSmallDocumentBytes } from "../../core/vault/limits.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import { hasRightMac } from "../../core/vault/manifest-mac.ts";
import { sealName, tombstoneName } from "../../core/vault/names.ts";
import type { Seal, Tombstone } from "../../core/vault/seal.ts";
import { isTooLate } from "../../core/vault/session-rules.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import type { JsonObject } from "../../wire/vault/document.ts";
import { parseCanonicalObject } from "../../wire/vault/document.ts";
import { parseSeal } from "../../wire/vault/seal.ts";
import { parseTombstone } from "../../wire/vault/tombstone.ts";
import type { OpenVault } from "./open-vault.ts";

export type ReadSeal =
  | { readonly kind: "right"; readonly seal: Seal }
  | { readonly kind: "absent" }
  | { readonly kind: "corrupt"; readonly defect: Defect };

/** The seal of a manifest. One that is wrong is no seal; the defect says why. */
export async function readSeal(vault: OpenVault, manifest: Manifest, signal: AbortSignal): Promise<ReadSeal> {
  const object = sealName(manifest.vmId, manifest.pointId);
  const blob = await vault.store.read(object, maxSmallDocumentBytes, signal);
  if (blob === undefined) return { kind: "absent" };
  try {
    const seal = parseSeal(object, checkedDocument(vault, object, blob.content));
    checkSeal(object, seal, manifest);
    return { kind: "right", seal };
  } catch (error) {
    const defect = defectOf(error);
    if (defect === undefined) throw error;
    return { kind: "corrupt", defect };
  }
}

function checkSeal(object: string, seal: Seal, manifest: Manifest): void {
  if (seal.pointId !== manifest.pointId || seal.manifestMac !== manifest.mac) {
    const defect = { object, reason: "wrong-path", expected: manifest.pointId, found: seal.pointId } as const;
    throw corrupt(defect, `it seals another manifest of ${seal.pointId}`);
  }
  if (isTooLate(manifest.sessionStartedAt, seal.manifestLastModified)) {
    const defect = { object, reason: "bad-field", found: seal.manifestLastModified } as const;
    throw corrupt(defect, "it seals a manifest that came too late");
  }
}

/** The tombstone of a point and when it was written; undefined where there is none. Throws `vault-corrupt`. */
export async function readTombstone(
  vault: OpenVault,
  vmId: VmId,
  pointId: PointId,
  signal: AbortSignal,
): Promise<{ readonly tombstone: Tombstone; readonly tombstonedAt: Timestamp } | undefined> {
  const object = tombstoneName(vmId, pointId);
  const blob = await vault.store.read(object, maxSmallDocumentBytes, signal);
  if (blob === undefined) return undefined;
  const tombstone = parseTombstone(object, checkedDocument(vault, object, blob.content));
  const place = `${tombstone.vmId}/${tombstone.pointId}`;
  if (tombstone.vaultId !== vault.descriptor.vaultId || place !== `${vmId}/${pointId}`) {
    throw corrupt({ object, reason: "wrong-path", expected: `${vmId}/${pointId}`, found: place }, `it is of ${place}`);
  }
  return { tombstone, tombstonedAt: blob.lastModified };
}

function checkedDocument(vault: OpenVault, object: string, bytes: Uint8Array): JsonObject {
  const document = parseCanonicalObject(object, bytes);
  if (hasRightMac(vault.keys, document)) return document;
  throw corrupt({ object, reason: "mac-mismatch" }, "its mac does not fit its content");
}
