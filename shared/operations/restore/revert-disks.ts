/**
 * A revert's way into the VM's own disks and out of them.
 *
 * 1. The VM belongs to the run (its claim): no backup runs meanwhile. Each disk is held: nobody can write to it or start a machine on it.
 * 2. Then each disk is kept as it is, by a safety snapshot. Nothing is written before the row names them all.
 * 3. Only the very disks that the point was taken of, in the same size, are reverted, and only while nothing runs on them.
 */
import { FarsideError, hasCode } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import { runEvents } from "../../core/run-events.ts";
import type { RestoreIn } from "../../core/run-transitions.ts";
import type { RestoreDisk, RestoreRun, SafetySnapshot } from "../../core/run.ts";
import type { ManifestDisk } from "../../core/vault/manifest.ts";
import type { ProtectedVm, VmSource } from "../../core/vm.ts";
import { guestUrlOf, requireSource } from "../../core/vm.ts";
import type { DiskReverter, HeldDisk } from "../../ports/disk-reverter.ts";
import type { Context } from "../context.ts";
import { noteRevert } from "./half-reverts.ts";
import { claimVm } from "../run/claim-vm.ts";
import { recordEvent } from "../run/record-event.ts";
import { isStillActive } from "../run/still-active.ts";

/** The disks as they stand now, in the order of `sources`. Throws `refused` where they are not what the point was taken of, or in use. */
export async function disksToRevert(
  context: Context,
  vm: ProtectedVm,
  runId: RunId,
  sources: readonly ManifestDisk[],
  signal: AbortSignal,
): Promise<readonly HeldDisk[]> {
  const reverter = reverterOf(context, vm.source.kind);
  const inspection = await context.source(vm.source.kind).inspect(vm, signal);
  const [condition] = inspection.conditions;
  if (condition !== undefined) throw refused(vm, `it is ${quote(condition)} now: try again when that is over.`);
  const disks = sources.map((source): HeldDisk => {
    const { name } = source;
    const now = inspection.disks.find((one) => one.name === name);
    const url = requireSource(vm, "page-blob").disks.find((one) => one.name === name)?.url;
    const instead = "Restore it to a container instead (--to-container).";
    if (now === undefined || url === undefined) throw refused(vm, `it has no disk ${quote(name)} any more. ${instead}`);
    if (now.identity !== source.identity) {
      throw refused(vm, `the disk ${quote(name)} is not the one that the restore point was taken of. ${instead}`);
    }
    if (now.sizeBytes !== source.sizeBytes) {
      const sizes = `${now.sizeBytes} bytes now, ${source.sizeBytes} at the restore point`;
      throw refused(vm, `the disk ${quote(name)} has another size (${sizes}). ${instead}`);
    }
    return { name, url, sizeBytes: now.sizeBytes };
  });
  if (inspection.powerState === "running" || (await guestAnswers(context, vm, signal))) {
    throw refused(vm, "it is running: stop it first.");
  }
  for (const disk of disks) {
    if (!(await reverter.isInUse(disk, runId, signal))) continue;
    throw refused(vm, `the disk ${quote(disk.name)} is leased: stop the machine that uses it first.`);
  }
  return disks;
}

/** Throws `refused` where the VM is not protected any more: then nobody knows its disks. */
export async function protectedVm(
  context: Context,
  run: Pick<RestoreRun, "vm" | "vmId">,
  signal: AbortSignal,
): Promise<ProtectedVm> {
  const vm = (await context.catalog.vms.get(run.vm, signal))?.value;
  if (vm?.vmId === run.vmId) return vm;
  throw new FarsideError(
    "refused",
    `The VM ${quote(run.vm)} is not protected any more, so its disks are not known: restore to a container instead.`,
    { details: { vm: run.vm } },
  );
}

/** May be called again, after a death anywhere in it. Undefined where the run has ended meanwhile. */
export async function prepareRevert(
  context: Context,
  run: RestoreIn<"queued" | "preparing">,
  sources: readonly ManifestDisk[],
  signal: AbortSignal,
): Promise<readonly SafetySnapshot[] | undefined> {
  const { runId, vmId } = run;
  const vm = await protectedVm(context, run, signal);
  const claim = await claimVm(context, { vmId, runId, as: "revert" }, signal);
  if (claim.kind === "held") {
    const message = `The run ${claim.by} is active for VM ${quote(vm.name)}: wait for it, or cancel it.`;
    throw new FarsideError("run-active", message, { details: { vm: vm.name, runId: claim.by } });
  }
  const disks = await disksToRevert(context, vm, runId, sources, signal);
  const reverter = reverterOf(context, vm.source.kind);
  for (const disk of disks) {
    if (!(await isStillActive(context, runId, signal))) return undefined;
    await reverter.hold(disk, runId, signal);
  }
  await noteRevert(context, vmId, runId, signal);
  const safety: SafetySnapshot[] = [];
  for (const disk of disks) safety.push(await reverter.keep(disk, runId, signal));
  const message = `Safety snapshots: ${safety.map((one) => one.snapshot).join(", ")}.`;
  await recordEvent(context, { runId, name: runEvents.safetyTaken, message, fields: { disks: disks.length } }, signal);
  return safety;
}

/** Lets a disk go; of the snapshots, those that the row names stay. */
export async function leaveReverted(
  context: Context,
  run: RestoreRun,
  disk: RestoreDisk,
  signal: AbortSignal,
): Promise<void> {
  const { runId, safety } = run;
  const reverter = reverterOf(context, "page-blob");
  await reverter.letGo(disk, runId, signal);
  const spared = safety?.find((one) => one.disk === disk.name);
  await reverter.dropKept(disk, runId, spared, signal);
}

/** Throws `not-supported` for a source whose disks cannot be written in place. */
export function reverterOf(context: Context, kind: VmSource["kind"]): DiskReverter {
  const reverter = context.reverter(kind);
  if (reverter !== undefined) return reverter;
  throw new FarsideError(
    "not-supported",
    `Disks of a ${kind} source are not reverted: restore to a container instead.`,
  );
}

/** What a gateway says in the place of a guest that is not there (RFC 9110, 15.6). */
const gatewayStatuses: readonly unknown[] = [502, 503, 504];

/** Also where it answers in trouble, or not as agreed: something runs there. */
async function guestAnswers(context: Context, vm: ProtectedVm, signal: AbortSignal): Promise<boolean> {
  const guestUrl = guestUrlOf(vm);
  if (guestUrl === undefined) return false;
  try {
    await context.guest.state(guestUrl, signal);
    return true;
  } catch (error) {
    if (!hasCode(error, "guest-failed")) throw error;
    const { status } = error.details;
    return status !== undefined && !gatewayStatuses.includes(status);
  }
}

function refused(vm: ProtectedVm, why: string): FarsideError {
  return new FarsideError("refused", `The VM ${quote(vm.name)} is not reverted: ${why}`, { details: { vm: vm.name } });
}
