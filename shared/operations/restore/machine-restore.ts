/**
 * A restore to the platform as its port wants it: of what was asked for, of the row, and of the vault.
 *
 * 1. Where the disks stand, and what they are to their VM, is in the row: a step decides nothing anew.
 * 2. To take back what was made the row alone has to do, for the vault may have lost the rest by then.
 */
import { FarsideError, hasCode } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { MachineTargetSpec } from "../../core/machine-restore.ts";
import type { VmResourceId } from "../../core/resource-id.ts";
import type { MachineFacts, RestoreDisk, RestoreRun } from "../../core/run.ts";
import { isMachineTarget } from "../../core/run.ts";
import type { ManifestDisk } from "../../core/vault/manifest.ts";
import type { MachineDisk, MachineRestore } from "../../ports/machine-target.ts";
import { parseProtection } from "../../wire/vault/captured.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readConfiguration } from "../vault/read-configuration.ts";
import type { ChosenRestore } from "./choose-restore.ts";
import { guestStateOf } from "./guest-state.ts";
import { readSources } from "./read-sources.ts";

/** Before the platform has said where its disks will stand. */
export async function plannedMachine(
  vault: OpenVault,
  asked: {
    readonly runId: RunId;
    readonly target: MachineTargetSpec;
    readonly osType: MachineRestore["osType"];
    readonly resourceId: VmResourceId | undefined;
  },
  { manifest, disks }: ChosenRestore,
  signal: AbortSignal,
): Promise<MachineRestore> {
  const configuration = await readConfiguration(vault, manifest, signal);
  const { runId, target, resourceId } = asked;
  const osType = asked.osType ?? parseProtection(configuration)?.vm.osType;
  return {
    runId,
    target,
    vm: manifest.vmName,
    pointId: manifest.pointId,
    snapshotAt: manifest.snapshotAt,
    configuration,
    disks: disks.map(({ disk }) => diskOf(vault, disk, undefined)),
    ...(osType === undefined ? {} : { osType }),
    ...(resourceId === undefined ? {} : { resourceId }),
  };
}

/** Throws `not-found` and `vault-corrupt` where the vault has lost what the restore needs. */
export async function machineRestoreOf(
  vault: OpenVault,
  run: RestoreRun,
  signal: AbortSignal,
): Promise<{ readonly restore: MachineRestore; readonly sources: readonly ManifestDisk[] }> {
  const { manifest, disks } = await readSources(vault, run, signal);
  const configuration = await readConfiguration(vault, manifest, signal);
  const restore = {
    ...ofRow(run, configuration),
    disks: disks.map((disk, number) => diskOf(vault, disk, run.disks[number]?.url)),
  };
  return { restore, sources: disks };
}

/** Also where the vault has lost the point: what was made bears the run's id, and is found by it. */
export async function machineToTakeBack(
  vault: OpenVault,
  run: RestoreRun,
  signal: AbortSignal,
): Promise<MachineRestore> {
  try {
    return (await machineRestoreOf(vault, run, signal)).restore;
  } catch (error) {
    if (!hasCode(error, "not-found", "vault-corrupt")) throw error;
    return ofRow(run, {});
  }
}

/** A disk as a window writes to it. */
export function machineDisk({ name, sizeBytes, url, drive }: RestoreDisk): MachineDisk {
  const { role = "data", lun, logicalSectorSize = 512 } = drive ?? {};
  return { name, role, sizeBytes, logicalSectorSize, url, ...(lun === undefined ? {} : { lun }) };
}

export function machineFactsOf({ target, runId, machine }: RestoreRun): MachineFacts & { target: MachineTargetSpec } {
  if (machine !== undefined && isMachineTarget(target)) return { ...machine, target };
  throw new FarsideError("internal", `The restore ${runId} is none to the platform.`);
}

function ofRow(run: RestoreRun, configuration: MachineRestore["configuration"]): MachineRestore {
  const { target, snapshotAt, osType, resourceId } = machineFactsOf(run);
  const { runId, vm, pointId } = run;
  return {
    runId,
    vm,
    pointId,
    target,
    snapshotAt,
    configuration,
    disks: run.disks.map(machineDisk),
    ...(osType === undefined ? {} : { osType }),
    ...(resourceId === undefined ? {} : { resourceId }),
  };
}

function diskOf(vault: OpenVault, disk: ManifestDisk, url: string | undefined): MachineDisk {
  const { name, role, lun, sizeBytes, logicalSectorSize } = disk;
  const guestState = guestStateOf(vault, disk);
  return {
    name,
    role,
    sizeBytes,
    logicalSectorSize,
    ...(lun === undefined ? {} : { lun }),
    ...(url === undefined ? {} : { url }),
    ...(guestState === undefined ? {} : { guestState }),
  };
}
