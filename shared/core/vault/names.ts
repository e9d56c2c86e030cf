/** Names of the blobs of a vault that are not stored objects (docs/vault-format.md, "Names"). */
import type { PointId, RunId, VmId } from "../ids.ts";
import { parsePointId, parseVmId } from "../ids.ts";

export const descriptorName = "vault.json";
export const keySlotPrefix = "keys/";
export const restorePointPrefix = "restore-points/";

export const keySlotName = (slotId: string): string => `${keySlotPrefix}${slotId}.json`;
export const vmPrefix = (vmId: VmId): string => `${restorePointPrefix}${vmId}/`;
export const manifestName = (vmId: VmId, pointId: PointId): string => `${vmPrefix(vmId)}${pointId}/manifest.json`;
export const sealName = (vmId: VmId, pointId: PointId): string => `${vmPrefix(vmId)}${pointId}/seal.json`;
export const tombstoneName = (vmId: VmId, pointId: PointId): string => `${vmPrefix(vmId)}${pointId}/tombstone.json`;
export const workPrefix = (runId: RunId): string => `work/${runId}/`;

export type PointBlobKind = "manifest" | "seal" | "tombstone";

const pointBlob = /^restore-points\/([^/]+)\/([^/]+)\/(manifest|seal|tombstone)\.json$/;

/** What a blob below `restore-points/` is; undefined where its name is none of the format. */
export function parsePointBlobName(
  name: string,
): { readonly vmId: VmId; readonly pointId: PointId; readonly kind: PointBlobKind } | undefined {
  const [, vm, point, kind] = pointBlob.exec(name) ?? [];
  if (vm === undefined || point === undefined) return undefined;
  try {
    return { vmId: parseVmId(vm), pointId: parsePointId(point), kind: kind as PointBlobKind };
  } catch {
    return undefined;
  }
}

/** The VM of a "folder" as listed: `restore-points/<vmId>/`. */
export function parseVmFolder(folder: string): VmId | undefined {
  const [, vm] = /^restore-points\/([^/]+)\/$/.exec(folder) ?? [];
  try {
    return vm === undefined ? undefined : parseVmId(vm);
  } catch {
    return undefined;
  }
}

const slotFile = /^keys\/([A-Za-z0-9-]{1,64})\.json$/;

/** The slot id in a blob's name; undefined where the name is none of a key slot. */
export function parseKeySlotName(name: string): string | undefined {
  return slotFile.exec(name)?.[1];
}
