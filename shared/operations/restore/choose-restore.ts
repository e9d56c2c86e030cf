/**
 * What a restore takes, for the service and the command line alike: which restore point, which disks, and whether they may be put
 * back at all. Reads the vault only; whatever can be refused is refused here.
 *
 * 1. All disks come from one restore point: the disks of a VM at one instant. A mix of instants is no state that the VM ever was in,
 *    so it is refused unless somebody says that it is meant.
 * 2. A point at risk of USN rollback is refused unless somebody accepts the risk; of a mix, every point is looked at.
 */
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, PointId, VmId } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { Manifest, ManifestDisk } from "../../core/vault/manifest.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { choosePoint, type PointChoice } from "./choose-point.ts";
import { findDisk } from "./find-disk.ts";

export interface DiskChoice {
  readonly name: DiskName;
  /** Of another restore point than the rest. */
  readonly pointId?: PointId;
}

export interface RestoreChoice {
  /** For every disk that names no restore point of its own. */
  readonly point: PointChoice;
  /** All disks of the restore point where left out. */
  readonly disks?: readonly DiskChoice[];
  readonly acceptMixedPoints: boolean;
  readonly acceptUsnRollbackRisk: boolean;
}

export interface ChosenDisk {
  /** Of the restore point that the disk comes from. */
  readonly manifest: Manifest;
  readonly disk: ManifestDisk;
}

export interface ChosenRestore {
  /** The restore point of the choice; of the first disk where every disk names one of its own. */
  readonly manifest: Manifest;
  /** At least one, in the order asked for; of the manifest where nothing was asked. */
  readonly disks: readonly ChosenDisk[];
}

/**
 * Throws `not-found` (no such point, or disk: then it names those there are), `bad-input` (a disk named twice, or none at all),
 * `refused` (a mix of points, or a risk, that was not accepted), `vault-corrupt`.
 */
export async function chooseRestore(
  vault: OpenVault,
  vmId: VmId,
  choice: RestoreChoice,
  signal: AbortSignal,
): Promise<ChosenRestore> {
  const { disks } = choice;
  if (disks !== undefined) checkNames(disks);
  const read = new Map<PointId, Manifest>();
  const readOnce = async (pointId: PointId): Promise<Manifest> => {
    const manifest = read.get(pointId) ?? (await choosePoint(vault, vmId, { kind: "point", pointId }, signal));
    read.set(pointId, manifest);
    return manifest;
  };
  const needsBase = disks === undefined || disks.some((one) => one.pointId === undefined);
  const base = needsBase ? await choosePoint(vault, vmId, choice.point, signal) : undefined;
  if (base !== undefined) read.set(base.pointId, base);

  const chosen: ChosenDisk[] = [];
  if (disks === undefined && base !== undefined) {
    for (const disk of base.disks) chosen.push({ manifest: base, disk });
  }
  for (const { name, pointId } of disks ?? []) {
    const manifest = pointId === undefined ? base : await readOnce(pointId);
    if (manifest !== undefined) chosen.push({ manifest, disk: findDisk(manifest, name) });
  }
  const manifest = base ?? chosen[0]?.manifest;
  if (manifest === undefined || chosen.length === 0) {
    throw new FarsideError("bad-input", "No disk was chosen: name at least one, or none to restore all.");
  }
  const points = Array.from(new Set(chosen.map((one) => one.manifest)));
  if (points.length > 1 && !choice.acceptMixedPoints) throw mixed(chosen);
  for (const point of points) checkUsnRollback(point, choice.acceptUsnRollbackRisk);
  return { manifest, disks: chosen };
}

/** Twice the same disk would be two restores to one target, maybe of two instants. */
function checkNames(disks: readonly DiskChoice[]): void {
  const seen = new Set<string>();
  for (const { name } of disks) {
    if (seen.has(name)) {
      const message = `The disk ${quote(name)} was named twice: name each disk once.`;
      throw new FarsideError("bad-input", message, { details: { disk: name } });
    }
    seen.add(name);
  }
}

function mixed(chosen: readonly ChosenDisk[]): FarsideError {
  const disks = chosen.map(({ manifest: { pointId, snapshotAt }, disk: { name } }) => ({ name, pointId, snapshotAt }));
  const told = disks.map(({ name, pointId, snapshotAt }) => `${name} of ${pointId} (${snapshotAt})`).join(", ");
  return new FarsideError(
    "refused",
    `The disks are of different instants: ${told}. The VM never was in that state: take all of one restore point, or accept mixed points (--accept-mixed-points).`,
    { details: { reason: "mixed-points", disks } },
  );
}

function checkUsnRollback(manifest: Manifest, accepted: boolean): void {
  if (!manifest.safety.usnRollbackRisk || accepted) return;
  const { pointId, vmId, safety } = manifest;
  const note = safety.note ?? "Restoring it can cause USN rollback.";
  const message = `The restore point ${pointId} of VM ${vmId} is marked: ${note} Choose another one, or accept the risk (--accept-usn-rollback-risk).`;
  throw new FarsideError("refused", message, { details: { vmId, pointId, risk: "usn-rollback" } });
}
