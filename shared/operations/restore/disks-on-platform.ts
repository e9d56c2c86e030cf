/** What a restore to the platform will make, before a row exists: everything that the platform can refuse is refused here. */
import { FarsideError } from "../../core/errors.ts";
import { quote } from "../../core/ids.ts";
import type { MachineTargetSpec } from "../../core/machine-restore.ts";
import type { VmResourceId } from "../../core/resource-id.ts";
import type { MachineFacts, RestoreDisk, RestoreRun } from "../../core/run.ts";
import type { ProtectedVm } from "../../core/vm.ts";
import type { Context } from "../context.ts";
import type { ChosenRestore } from "./choose-restore.ts";
import { plannedMachine } from "./machine-restore.ts";

export async function disksOnPlatform(
  context: Context,
  run: Pick<RestoreRun, "vm" | "vmId" | "runId"> & { readonly target: MachineTargetSpec },
  chosen: ChosenRestore,
  signal: AbortSignal,
): Promise<{ readonly disks: readonly RestoreDisk[]; readonly machine: MachineFacts }> {
  const { runId, target } = run;
  const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
  const standing = vm?.vmId === run.vmId ? vm : undefined;
  const resourceId = target.kind === "swap-disks" ? resourceToSwap(run, standing) : resourceOf(standing);
  const asked = { runId, target, osType: standing?.osType, resourceId };
  const restore = await plannedMachine(await context.vault(signal), asked, chosen, signal);
  const planned = await context.machines.preflight(restore, signal);
  const disks = chosen.disks.map(({ manifest, disk }, number): RestoreDisk => {
    const url = planned.disks[number];
    if (url === undefined) throw new FarsideError("internal", `The platform has no place for ${quote(disk.name)}.`);
    const { name, sizeBytes, role, lun, logicalSectorSize } = disk;
    const drive = { role, logicalSectorSize, ...(lun === undefined ? {} : { lun }) };
    return { name, sizeBytes, url, restoredBytes: 0, pointId: manifest.pointId, drive };
  });
  const { snapshotAt, osType } = restore;
  const machine: MachineFacts = {
    snapshotAt,
    notes: planned.notes,
    made: [],
    ...(osType === undefined ? {} : { osType }),
    ...(resourceId === undefined ? {} : { resourceId }),
  };
  return { disks, machine };
}

function resourceOf(vm: ProtectedVm | undefined): VmResourceId | undefined {
  return vm?.source.kind === "managed" ? vm.source.resourceId : undefined;
}

function resourceToSwap(run: Pick<RestoreRun, "vm">, vm: ProtectedVm | undefined): VmResourceId {
  const resourceId = resourceOf(vm);
  if (resourceId !== undefined) return resourceId;
  const why =
    vm === undefined ? "is not protected any more, so its disks are not known" : "is not protected as a VM of Azure";
  throw new FarsideError(
    "refused",
    `The disks of ${quote(run.vm)} are not exchanged: it ${why}. Protect it with its resource id, or restore to managed disks or a new VM instead.`,
    { details: { vm: run.vm } },
  );
}
