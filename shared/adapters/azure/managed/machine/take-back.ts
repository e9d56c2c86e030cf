/**
 * Removes what a restore that failed has made: the VM, then its interfaces, then the disks, all that bears the run's tag in the target's
 * resource group. An exchange is put back first.
 */
import { hasCode } from "../../../../core/errors.ts";
import type { RunId } from "../../../../core/ids.ts";
import type { MachineRestore, TakenBack } from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { parseModel } from "../arm-models.ts";
import { diskQuery, networkQuery, seeAny, seeDisk, seenAny, seeVm, vmQuery, type SeenDisk } from "./look-at.ts";
import { putBack } from "./exchange-disks.ts";
import { diskIds, groupOf, nameOf, vmIdOf } from "./names.ts";
import { isOwn } from "./own-tags.ts";
import type { OwnRemover, Removed } from "./remove-own.ts";
import { endUpload } from "./seal-disks.ts";
import type { UploadAccess } from "./upload-access.ts";

export interface TakingBack {
  readonly arm: ArmConnection;
  readonly access: UploadAccess;
  readonly remover: OwnRemover;
  readonly restore: MachineRestore;
  readonly retryAfterMs: number;
}

type Stage = (taking: TakingBack, signal: AbortSignal) => Promise<readonly Removed[]>;

/** In this order: each holds the next. */
export async function takeBack(taking: TakingBack, signal: AbortSignal): Promise<TakenBack> {
  const left: string[] = [];
  const { target, resourceId: vmId } = taking.restore;
  if (target.kind === "swap-disks" && vmId === undefined) {
    left.push(
      `${taking.restore.vm} is not protected as a VM of Azure any more: where its disks were exchanged, attach the former ones again.`,
    );
  } else if (target.kind === "swap-disks") {
    const { remover, restore } = taking;
    const back = remover.givenUp(restore.runId, vmId ?? "") ?? (await putBack({ ...taking, target }, signal));
    if (back === "waiting") return { kind: "waiting", retryAfterMs: taking.retryAfterMs };
    if (back.length > 0) remover.giveUp(restore.runId, vmId ?? "", back);
    left.push(...back);
  }
  const stages: readonly Stage[] =
    target.kind === "managed-vm" ? [removeVm, removeInterfaces, removeDisks] : [removeDisks];
  for (const stage of stages) {
    const removed = await stage(taking, signal);
    if (removed.some(({ kind }) => kind === "waiting")) return { kind: "waiting", retryAfterMs: taking.retryAfterMs };
    for (const one of removed) if (one.kind === "left") left.push(one.why);
  }
  if (target.kind === "swap-disks") taking.remover.forget(taking.restore.runId, vmId ?? "");
  return { kind: "gone", left };
}

async function removeVm({ arm, restore, remover }: TakingBack, signal: AbortSignal): Promise<readonly Removed[]> {
  const { target, runId } = restore;
  if (target.kind !== "managed-vm") return [];
  const id = vmIdOf(target.resourceGroup, target.name);
  const removal = { id, query: vmQuery, what: "the VM", see: (bounded: AbortSignal) => seeVm(arm, id, bounded) };
  return [await remover.remove(arm, runId, removal, signal)];
}

async function removeInterfaces(
  { arm, restore, remover }: TakingBack,
  signal: AbortSignal,
): Promise<readonly Removed[]> {
  const list = `${groupOf(restore)}/providers/Microsoft.Network/networkInterfaces`;
  const removed: Removed[] = [];
  for (const id of await ownIds(arm, list, networkQuery, restore.runId, signal)) {
    const see = (bounded: AbortSignal) => seeAny(arm, id, networkQuery, bounded);
    const removal = { id, query: networkQuery, what: "the network interface", see };
    removed.push(await remover.remove(arm, restore.runId, removal, signal));
  }
  return removed;
}

/** By their names, and by their tags: the list may lag behind, and a name may be forgotten. */
async function removeDisks(taking: TakingBack, signal: AbortSignal): Promise<readonly Removed[]> {
  const { arm, restore, remover, access } = taking;
  const list = `${groupOf(restore)}/providers/Microsoft.Compute/disks`;
  const listed = await ownIds(arm, list, diskQuery, restore.runId, signal);
  const ids = new Map([...diskIds(restore), ...listed].map((id) => [id.toLowerCase(), id]));
  const removed: Removed[] = [];
  for (const id of ids.values()) {
    access.forget(id);
    const removal = {
      id,
      query: diskQuery,
      what: "the disk",
      see: (bounded: AbortSignal) => seeDisk(arm, id, bounded),
      keptBy: attachment,
      before: (seen: SeenDisk, bounded: AbortSignal) => endAccess(arm, seen, bounded),
    };
    removed.push(await remover.remove(arm, restore.runId, removal, signal));
  }
  return removed;
}

function attachment({ managedBy }: SeenDisk): string | undefined {
  return managedBy === undefined
    ? undefined
    : `it is attached to ${nameOf(managedBy)}. Detach it there, and remove it.`;
}

/** What has a SAS cannot be removed; and with it goes whatever somebody still writes. */
async function endAccess(arm: ArmConnection, seen: SeenDisk, signal: AbortSignal) {
  if (!/^(?:ActiveUpload|ActiveSAS)$/i.test(seen.properties.diskState ?? "")) return undefined;
  return (await endUpload(arm, seen.id, signal)) ?? "begun";
}

async function ownIds(
  arm: ArmConnection,
  list: string,
  query: Readonly<Record<string, string>>,
  runId: RunId,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const ids: string[] = [];
  try {
    for await (const raw of arm.list(list, query, "look for what the restore made", signal)) {
      const seen = parseModel(seenAny, raw, "a resource");
      if (isOwn(seen.tags, runId)) ids.push(seen.id);
    }
  } catch (error) {
    // The whole resource group is gone.
    if (!hasCode(error, "not-found")) throw error;
  }
  return ids;
}
