/**
 * Exchanges the disks of the VM that stands for restored ones, and puts the former ones back.
 *
 * 1. Each new disk bears the name of the one whose place it takes, and, while a VM that ran is stopped for it, one of them that it is to be
 *    started again: written before the VM is touched, so that whoever comes later knows.
 * 2. All slots change in one request: the VM has either all former disks or all restored ones.
 * 3. A slot that somebody else has changed meanwhile is not touched.
 * 4. Whoever puts back does not know what another process has asked for: a VM that is shown as running may be about to stop. So one that bears
 *    a mark is started in any case, which a running VM is not changed by, and only then taken for running.
 */
import { FarsideError } from "../../../../core/errors.ts";
import type { MadeResource, SwapDisksTarget } from "../../../../core/machine-restore.ts";
import type { MachineRestore } from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { requireParts } from "../arm-connection.ts";
import { beginChange, type BegunChange } from "./begun-change.ts";
import { capturedDiskOf, slotOf, type CapturedMachine } from "./captured-machine.ts";
import { exchangedProfile, type Placement } from "./exchanged-profile.ts";
import {
  diskQuery,
  hasBeenMade,
  isChanging,
  powerOf,
  requireOwn,
  seeDisk,
  seeVm,
  vmQuery,
  type SeenDisk,
  type SeenVm,
} from "./look-at.ts";
import { allOf } from "./make-disks.ts";
import { idOfDisk, isSameId, nameOf, partsOfVm } from "./names.ts";
import { isOwn, ownTags, tagOf, type Tags } from "./own-tags.ts";
import { placeOf, type RestorePlan } from "./plan-restore.ts";
import { noGuestState } from "./plan-vm.ts";
import type { OwnRemover } from "./remove-own.ts";
import { done, waitingFor, type Step, type StepResult } from "./step-walk.ts";

/** What is known before anything is made. Throws `in-use`, `bad-input` and `not-supported`; gives notes. */
export function checkExchange(restore: MachineRestore, { standing, captured }: RestorePlan): readonly string[] {
  const { target, disks } = restore;
  if (target.kind !== "swap-disks" || standing === undefined) return [];
  const { vm, formers } = standing;
  const name = nameOf(vm.id);
  const isRunning = powerOf(vm) === "running";
  if (isRunning && !target.mayStop) throw stillRunning(name);
  for (const [index, disk] of disks.entries()) {
    if (disk.role === "data" && disk.lun === undefined) {
      const message = `The disk ${disk.name} has no LUN, so that it has no place in ${name}: restore it as a managed disk, and attach it.`;
      throw new FarsideError("bad-input", message);
    }
    if (disk.role !== "os") continue;
    const isTrusted = /^TrustedLaunch/i.test(vm.properties.securityProfile?.securityType ?? "");
    if (isTrusted && disk.guestState === undefined) throw new FarsideError("not-supported", noGuestState(restore.vm));
    if (!isTrusted && disk.guestState !== undefined) {
      const message = `The restore point is of a trusted-launch VM, and ${name} is none now: restore to a new VM.`;
      throw new FarsideError("not-supported", message);
    }
    const was = captured === undefined ? undefined : capturedDiskOf(captured, disk)?.properties.hyperVGeneration;
    const is = formers[index]?.properties.hyperVGeneration;
    if (was !== undefined && is !== undefined && was !== is) {
      const message = `The OS disk is of generation ${was}, and ${name} now of ${is}: it would not start. Restore to a new VM.`;
      throw new FarsideError("not-supported", message);
    }
  }
  if (captured !== undefined) refuseMoved(restore, captured, vm);
  const notes = [
    "The former disks stay, detached: they are the way back. Remove them when they are not needed any more.",
  ];
  if (isRunning) notes.unshift(`${name} is stopped for the exchange, and started again.`);
  const stay = (vm.properties.storageProfile.dataDisks ?? []).filter(
    ({ lun }) => !disks.some((disk) => disk.role === "data" && disk.lun === lun),
  );
  if (stay.length > 0)
    notes.push(`Its data disks at LUN ${stay.map(({ lun }) => lun ?? "?").join(", ")} stay as they are.`);
  if (!disks.some(({ role }) => role === "os")) notes.push("Its OS disk stays as it is.");
  return notes;
}

/** Another disk would make room for it, and the VM have one disk twice. */
function refuseMoved({ disks }: MachineRestore, captured: CapturedMachine, vm: SeenVm): void {
  for (const disk of disks) {
    const id = slotOf(captured.vm, disk)?.managedDisk?.id;
    const now = (vm.properties.storageProfile.dataDisks ?? []).find(({ managedDisk }) => isSameId(managedDisk?.id, id));
    if (now === undefined || disks.some(({ role, lun }) => role === "data" && lun === now.lun)) continue;
    throw new FarsideError(
      "refused",
      `The disk ${disk.name} is at LUN ${now.lun ?? "?"} of ${nameOf(vm.id)} now, and was at LUN ${disk.lun ?? "?"} when it was backed up: in exchange, another disk would go. Choose all disks, or restore it as a managed disk, and attach it.`,
      { details: { disk: disk.name } },
    );
  }
}

function stillRunning(name: string): FarsideError {
  return new FarsideError(
    "in-use",
    `The VM ${name} is running: stop it (deallocate), or let the restore stop it and start it again (--stop).`,
  );
}

export interface Exchanging {
  readonly arm: ArmConnection;
  readonly restore: MachineRestore;
  readonly target: SwapDisksTarget;
}

export function exchangeSteps(exchanging: Exchanging): readonly Step[] {
  const name = partsOfVm(exchanging.restore).path[0]?.[1] ?? "";
  return [
    { doing: `stop the VM ${name}`, run: (signal) => stopForIt(exchanging, signal) },
    { doing: `exchange the disks of the VM ${name}`, run: (signal) => exchange(exchanging, signal) },
    { doing: `start the VM ${name}`, run: (signal) => startAgain(exchanging, signal) },
  ];
}

async function stopForIt({ arm, restore, target }: Exchanging, signal: AbortSignal): Promise<StepResult> {
  const vm = await requireVm(arm, restore, signal);
  if (placesOf(vm, restore).every(({ isOurs }) => isOurs)) return done;
  if (isChanging(vm)) return waitingFor();
  const power = powerOf(vm);
  if (power === "deallocated") return done;
  if (power === "changing") return waitingFor();
  if (power === "running" && !target.mayStop) throw stillRunning(nameOf(vm.id));
  return waitingFor(await stop(arm, restore, vm, signal));
}

/** That it ran is written down first. */
async function stop(
  arm: ArmConnection,
  restore: MachineRestore,
  vm: SeenVm,
  signal: AbortSignal,
): Promise<BegunChange | undefined> {
  if (powerOf(vm) === "running") {
    const disk = await requireDisk(arm, restore, signal);
    // Its tags may be about to change: what is read then is not what will stand.
    if (isChanging(disk)) return undefined;
    if (tagOf(disk.tags, ownTags.restart) !== restart.wanted) {
      return changeTags(arm, disk, { ...withoutRestart(disk.tags), [ownTags.restart]: restart.wanted }, signal);
    }
  }
  return act(arm, vm, "deallocate", "stop", signal);
}

async function exchange({ arm, restore }: Exchanging, signal: AbortSignal): Promise<StepResult> {
  const vm = await requireVm(arm, restore, signal);
  if (isChanging(vm)) return waitingFor();
  const places = placesOf(vm, restore);
  if (places.every(({ isOurs }) => isOurs) && hasBeenMade(vm)) return done;
  const power = powerOf(vm);
  if (power === "changing") return waitingFor();
  if (power !== "deallocated") {
    throw new FarsideError("in-use", `The VM ${nameOf(vm.id)} was started while its disks were to be exchanged.`);
  }
  const disks = await allOf(restore.disks, (disk) => requireDisk(arm, restore, signal, idOfDisk(restore, disk)));
  for (const [index, { current, isOurs }] of places.entries()) {
    const former = tagOf(disks[index]?.tags, ownTags.former);
    const now = current === undefined ? undefined : placeOf(current);
    if (isOurs || former?.toLowerCase() === now?.toLowerCase()) continue;
    throw new FarsideError(
      "refused",
      `The disks of the VM ${nameOf(vm.id)} were changed while they were restored: ${now ?? "none"} is where ${former ?? "none"} was. Restore again.`,
    );
  }
  const placements = restore.disks.map(({ role, lun }, index) => ({ role, lun, diskId: disks[index]?.id }));
  return waitingFor(await place(arm, vm, placements, signal));
}

async function startAgain({ arm, restore }: Exchanging, signal: AbortSignal): Promise<StepResult> {
  const disk = await requireDisk(arm, restore, signal);
  if (tagOf(disk.tags, ownTags.restart) === undefined) return done;
  if (isChanging(disk)) return waitingFor();
  const vm = await requireVm(arm, restore, signal);
  const power = powerOf(vm);
  // So that it is not started again when somebody stops it later.
  if (power === "running") return waitingFor(await changeTags(arm, disk, withoutRestart(disk.tags), signal));
  return power === "changing" || isChanging(vm)
    ? waitingFor()
    : waitingFor(await act(arm, vm, "start", "start", signal));
}

/** The disks that were exchanged, by what the new ones say. */
export async function detachedDisks(
  { arm, restore }: Exchanging,
  signal: AbortSignal,
): Promise<readonly MadeResource[]> {
  const disks = await allOf(restore.disks, (disk) => requireDisk(arm, restore, signal, idOfDisk(restore, disk)));
  return disks.flatMap((disk): MadeResource[] => {
    const id = formerId(restore, disk);
    return id === undefined ? [] : [{ kind: "detached-disk", id }];
  });
}

/** What of an exchange that failed could not be undone; or that it goes on. */
export async function putBack(
  { arm, restore, target, remover }: Exchanging & { readonly remover: OwnRemover },
  signal: AbortSignal,
): Promise<"waiting" | readonly string[]> {
  const { runId } = restore;
  const { id } = partsOfVm(restore);
  try {
    if (await remover.isUnderWay(arm, runId, id, signal)) return "waiting";
    const seen = await allOf(restore.disks, (disk) => seeDisk(arm, idOfDisk(restore, disk), signal));
    const own = seen.filter((disk) => disk !== undefined && isOwn(disk.tags, runId));
    const vm = own.length === 0 ? undefined : await seeVm(arm, id, signal);
    if (vm === undefined) return [];
    if (isChanging(vm) || powerOf(vm) === "changing") return "waiting";
    const next = await nextBack(
      { arm, restore, target },
      vm,
      own.flatMap((disk) => disk ?? []),
      signal,
    );
    if ("left" in next) return next.left;
    remover.began(runId, id, next.begun);
    return "waiting";
  } catch (error) {
    const why = remover.failed(runId, id, error);
    return why === undefined ? "waiting" : [`The VM ${nameOf(id)} is not as it was: ${why}`];
  }
}

async function nextBack(
  { arm, restore, target }: Exchanging,
  vm: SeenVm,
  own: readonly SeenDisk[],
  signal: AbortSignal,
): Promise<{ readonly left: readonly string[] } | { readonly begun: BegunChange | undefined }> {
  const attached = placesOf(vm, restore).filter(({ isOurs }) => isOurs);
  const power = powerOf(vm);
  if (attached.length === 0) return (await beginRestart(arm, vm, own, signal)) ?? { left: [] };
  if (power === "running" && !target.mayStop) {
    return {
      left: [`The VM ${nameOf(vm.id)} runs with the restored disks: stop it, and attach its former ones again.`],
    };
  }
  if (power !== "deallocated") return { begun: await stop(arm, restore, vm, signal) };
  const placements: Placement[] = [];
  for (const { role, lun, current } of attached) {
    const disk = own.find((one) => isSameId(one.id, current));
    const formerDiskId = disk === undefined ? undefined : formerId(restore, disk);
    if (formerDiskId !== undefined) {
      const former = await seeDisk(arm, formerDiskId, signal);
      if (former === undefined || former.managedBy !== undefined) {
        const why = former === undefined ? "is gone" : `is attached to ${nameOf(former.managedBy ?? "")}`;
        return {
          left: [`The VM ${nameOf(vm.id)} keeps the restored disks: its former disk ${nameOf(formerDiskId)} ${why}.`],
        };
      }
    }
    placements.push({ role, lun, diskId: formerDiskId });
  }
  return { begun: await place(arm, vm, placements, signal) };
}

/** The values of the mark. */
const restart = { wanted: "yes", asked: "asked" } as const;

/** Undefined where there is nothing to start. */
async function beginRestart(
  arm: ArmConnection,
  vm: SeenVm,
  own: readonly SeenDisk[],
  signal: AbortSignal,
): Promise<{ readonly begun: BegunChange | undefined } | undefined> {
  const marked = own.find(({ tags }) => tagOf(tags, ownTags.restart) !== undefined);
  if (marked === undefined) return undefined;
  if (isChanging(marked)) return { begun: undefined };
  const isAsked = tagOf(marked.tags, ownTags.restart) === restart.asked;
  if (isAsked && powerOf(vm) === "running") return undefined;
  const begun = await act(arm, vm, "start", "start", signal);
  if (!isAsked) {
    await changeTags(arm, marked, { ...withoutRestart(marked.tags), [ownTags.restart]: restart.asked }, signal);
  }
  return { begun };
}

interface Place extends Pick<Placement, "role" | "lun"> {
  /** ARM id of the disk that is there now. */
  readonly current: string | undefined;
  readonly isOurs: boolean;
}

/** In the order of the restore's disks. */
function placesOf(vm: SeenVm, restore: MachineRestore): readonly Place[] {
  return restore.disks.map((disk) => {
    const current = slotOf(vm, disk)?.managedDisk?.id;
    return { role: disk.role, lun: disk.lun, current, isOurs: isSameId(current, idOfDisk(restore, disk)) };
  });
}

function formerId(restore: MachineRestore, { tags }: SeenDisk): string | undefined {
  const [group, name] = (tagOf(tags, ownTags.former) ?? "").split("/");
  if (group === undefined || name === undefined) return undefined;
  const { subscriptionId } = partsOfVm(restore);
  const id = `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.Compute/disks/${name}`;
  // Tags are anybody's to write.
  requireParts(id);
  return id;
}

function withoutRestart(tags: Tags | undefined): Tags {
  return Object.fromEntries(Object.entries(tags ?? {}).filter(([name]) => name.toLowerCase() !== ownTags.restart));
}

async function requireVm(arm: ArmConnection, restore: MachineRestore, signal: AbortSignal): Promise<SeenVm> {
  const { id } = partsOfVm(restore);
  const vm = await seeVm(arm, id, signal);
  if (vm !== undefined) return vm;
  throw new FarsideError("not-found", `The VM ${nameOf(id)} is gone: its restored disks stay to be attached.`, {
    details: { id },
  });
}

/** The first of them, which remembers, where none is named. */
async function requireDisk(
  arm: ArmConnection,
  restore: MachineRestore,
  signal: AbortSignal,
  id: string = restore.disks[0] === undefined ? "" : idOfDisk(restore, restore.disks[0]),
): Promise<SeenDisk> {
  const disk = await seeDisk(arm, id, signal);
  if (disk === undefined) {
    throw new FarsideError("not-found", `The disk ${nameOf(id)} is gone: somebody removed it. Restore again.`, {
      details: { id },
    });
  }
  requireOwn(disk, restore.runId, "The disk");
  return disk;
}

async function act(arm: ArmConnection, { id }: SeenVm, action: string, verb: string, signal: AbortSignal) {
  return beginChange(arm, { method: "POST", id, action, query: vmQuery }, `${verb} the VM ${nameOf(id)}`, signal);
}

async function changeTags(arm: ArmConnection, { id }: SeenDisk, tags: Tags, signal: AbortSignal) {
  const patch = { method: "PATCH", id, query: diskQuery, body: { tags } } as const;
  return beginChange(arm, patch, `write down what the disk ${nameOf(id)} is for`, signal);
}

async function place(arm: ArmConnection, vm: SeenVm, placements: readonly Placement[], signal: AbortSignal) {
  const body = { properties: { storageProfile: exchangedProfile(vm, placements) } };
  const patch = { method: "PATCH", id: vm.id, query: vmQuery, body } as const;
  return beginChange(arm, patch, `exchange the disks of the VM ${nameOf(vm.id)}`, signal);
}
