/**
 * What restore points a VM has. The listing alone tells which manifests stand; whether one counts is inside it (rule W5): use
 * `readManifest` before relying on a point.
 */
import { corrupt, defectOf } from "../../core/vault/corrupt.ts";
import type { Defect } from "../../core/vault/corrupt.ts";
import type { PointId, VmId } from "../../core/ids.ts";
import type { Timestamp } from "../../core/timestamp.ts";
import { maxManifestBytes } from "../../core/vault/limits.ts";
import type { Manifest } from "../../core/vault/manifest.ts";
import { hasRightMac } from "../../core/vault/manifest-mac.ts";
import {
  manifestName,
  parsePointBlobName,
  parseVmFolder,
  restorePointPrefix,
  vmPrefix,
} from "../../core/vault/names.ts";
import { isTooLate } from "../../core/vault/session-rules.ts";
import type { JsonObject } from "../../wire/vault/document.ts";
import { parseManifest, parseManifestDocument } from "../../wire/vault/manifest.ts";
import { mapOrdered } from "./map-ordered.ts";
import type { OpenVault } from "./open-vault.ts";
import { readSeal } from "./read-seal.ts";

export interface RestorePointEntry {
  readonly vmId: VmId;
  readonly pointId: PointId;
  readonly manifestLastModified: Timestamp;
  /** Whether a seal lies there; whether it is right, `readManifest` says. */
  readonly sealed: boolean;
  /** Since when it counts as expired: the Last-Modified of its tombstone. */
  readonly tombstonedAt?: Timestamp;
}

export type ReadManifest =
  | {
      readonly kind: "standing";
      readonly manifest: Manifest;
      readonly lastModified: Timestamp;
      /** A right seal. Without one it counts too, as long as it is not copied elsewhere. */
      readonly sealed: boolean;
      /** A seal that lies there and is wrong; it was not believed. */
      readonly sealDefect?: Defect;
    }
  | {
      readonly kind: "void";
      readonly manifest: Manifest;
      readonly lastModified: Timestamp;
      readonly sealDefect?: Defect;
    }
  | { readonly kind: "absent" };

/** A point of a listing with its manifest, or what is wrong with it. */
export type RestorePoint = RestorePointEntry &
  (Exclude<ReadManifest, { kind: "absent" }> | { readonly kind: "corrupt"; readonly defect: Defect });

export type PointBlobs = {
  -readonly [Kind in "manifest" | "seal" | "tombstone"]?: Timestamp;
} & { readonly vmId: VmId; readonly pointId: PointId };

const manifestsAtOnce = 8;

/** The points whose manifest stands (void ones too), oldest first, by one listing. About 200 bytes of memory for each. */
export async function listRestorePoints(
  vault: OpenVault,
  vmId: VmId,
  signal: AbortSignal,
): Promise<readonly RestorePointEntry[]> {
  return entriesOf((await listPointBlobs(vault, vmId, signal)).points);
}

/** Those of the listed points whose manifest stands. */
export function entriesOf(points: readonly PointBlobs[]): readonly RestorePointEntry[] {
  return points.flatMap((point) => {
    if (point.manifest === undefined) return [];
    const { vmId, pointId, manifest: manifestLastModified, seal, tombstone } = point;
    const expired = tombstone === undefined ? {} : { tombstonedAt: tombstone };
    return [{ vmId, pointId, manifestLastModified, sealed: seal !== undefined, ...expired }];
  });
}

/** All that lies below a VM's folder: points oldest first, those too of which only a seal or a tombstone is left. */
export async function listPointBlobs(
  vault: OpenVault,
  vmId: VmId,
  signal: AbortSignal,
): Promise<{ readonly points: readonly PointBlobs[]; readonly unknown: readonly string[] }> {
  const points = new Map<PointId, PointBlobs>();
  const unknown: string[] = [];
  for await (const { name, lastModified } of vault.store.list(vmPrefix(vmId), signal)) {
    const parsed = parsePointBlobName(name);
    if (parsed === undefined) {
      unknown.push(name);
      continue;
    }
    const point = points.get(parsed.pointId) ?? { vmId, pointId: parsed.pointId };
    point[parsed.kind] = lastModified;
    points.set(parsed.pointId, point);
  }
  return { points: Array.from(points.values()).sort((a, b) => (a.pointId < b.pointId ? -1 : 1)), unknown };
}

/**
 * One manifest, after every check: canonical form, `mac`, schema, its own place and vault, and whether it counts (rule W5).
 * Throws `vault-corrupt`, and `vault-version-unknown` for a manifest of a later format.
 */
export async function readManifest(
  vault: OpenVault,
  vmId: VmId,
  pointId: PointId,
  signal: AbortSignal,
): Promise<ReadManifest> {
  const object = manifestName(vmId, pointId);
  const blob = await vault.store.read(object, maxManifestBytes, signal);
  if (blob === undefined) return { kind: "absent" };
  const document = parseManifestDocument(object, blob.content);
  checkOwner(vault, object, document);
  const manifest = parseManifest(object, document);
  const place = `${manifest.vmId}/${manifest.pointId}`;
  if (place !== `${vmId}/${pointId}`) {
    throw corrupt(
      { object, reason: "wrong-path", expected: `${vmId}/${pointId}`, found: place },
      `it is the manifest of ${place}`,
    );
  }
  const { lastModified } = blob;
  const seal = await readSeal(vault, manifest, signal);
  const sealDefect = seal.kind === "corrupt" ? { sealDefect: seal.defect } : {};
  const sealed = seal.kind === "right";
  if (!sealed && isTooLate(manifest.sessionStartedAt, lastModified)) {
    return { kind: "void", manifest, lastModified, ...sealDefect };
  }
  return { kind: "standing", manifest, lastModified, sealed, ...sealDefect };
}

function checkOwner(vault: OpenVault, object: string, document: JsonObject): void {
  const { vaultId } = document;
  if (typeof vaultId === "string" && vaultId !== vault.descriptor.vaultId) {
    const defect = { object, reason: "other-vault", expected: vault.descriptor.vaultId, found: vaultId } as const;
    throw corrupt(defect, `it belongs to the vault ${vaultId}`);
  }
  if (hasRightMac(vault.keys, document)) return;
  throw corrupt({ object, reason: "mac-mismatch" }, "its mac does not fit its content");
}

/** All restore points of a VM with their manifests, oldest first. A damaged one is told as `corrupt` and does not stop the others. */
export async function* readRestorePoints(
  vault: OpenVault,
  vmId: VmId,
  signal: AbortSignal,
): AsyncGenerator<RestorePoint, void, undefined> {
  const entries = await listRestorePoints(vault, vmId, signal);
  yield* readEntries(vault, entries, signal);
}

/** The newest restore point of a VM that counts, is whole as far as its manifest goes, and has not expired. */
export async function newestRestorePoint(
  vault: OpenVault,
  vmId: VmId,
  signal: AbortSignal,
): Promise<Extract<RestorePoint, { kind: "standing" }> | undefined> {
  const entries = await listRestorePoints(vault, vmId, signal);
  for (const entry of entries.toReversed()) {
    if (entry.tombstonedAt !== undefined) continue;
    for await (const point of readEntries(vault, [entry], signal)) if (point.kind === "standing") return point;
  }
  return undefined;
}

/** The manifests of listed points, in the order of the entries. One that has gone since is left out. */
export async function* readEntries(
  vault: OpenVault,
  entries: readonly RestorePointEntry[],
  signal: AbortSignal,
): AsyncGenerator<RestorePoint, void, undefined> {
  const read = async (entry: RestorePointEntry, aborted: AbortSignal): Promise<RestorePoint | undefined> => {
    try {
      const found = await readManifest(vault, entry.vmId, entry.pointId, aborted);
      return found.kind === "absent" ? undefined : { ...entry, ...found };
    } catch (error) {
      const defect = defectOf(error);
      if (defect === undefined) throw error;
      return { ...entry, kind: "corrupt", defect };
    }
  };
  for await (const point of mapOrdered(entries, manifestsAtOnce, read, signal)) if (point !== undefined) yield point;
}

/** The VMs that have, or had, restore points here, in order of id. */
export async function listVms(vault: OpenVault, signal: AbortSignal): Promise<readonly VmId[]> {
  const vms: VmId[] = [];
  for await (const folder of vault.store.listFolders(restorePointPrefix, signal)) {
    const vmId = parseVmFolder(folder);
    if (vmId !== undefined) vms.push(vmId);
  }
  return vms;
}
