/** Ends the uploads: what was written becomes disks that can be attached, and nothing can be written any more. */
import { FarsideError } from "../../../../core/errors.ts";
import type { MachineDisk, MachineRestore } from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { beginChange, type BegunChange } from "./begun-change.ts";
import { diskQuery, isChanging, requireOwn, seeDisk } from "./look-at.ts";
import { allOf, batches, writeEnds } from "./make-disks.ts";
import { idOfDisk, nameOf } from "./names.ts";
import { done, waitingFor, type Step } from "./step-walk.ts";
import { stageOf, type UploadAccess } from "./upload-access.ts";

interface Sealing {
  readonly arm: ArmConnection;
  readonly access: UploadAccess;
  readonly restore: MachineRestore;
}

export function sealingSteps(sealing: Sealing): readonly Step[] {
  return batches(sealing.restore.disks).map((disks) => ({
    doing: "finish the disks",
    run: async (signal) => {
      const found = await allOf(disks, (disk) => sealDisk(sealing, disk, signal));
      const waiting = found.flatMap((one) => (one === "sealed" ? [] : [one]));
      return waiting.length === 0 ? done : waitingFor(...waiting.map(({ change }) => change));
    },
  }));
}

async function sealDisk(
  { arm, access, restore }: Sealing,
  disk: MachineDisk,
  signal: AbortSignal,
): Promise<"sealed" | { readonly change: BegunChange | undefined }> {
  const id = idOfDisk(restore, disk);
  const seen = await seeDisk(arm, id, signal);
  if (seen === undefined) {
    const message = `The disk ${nameOf(id)} is gone: somebody removed it while it was restored. Restore again.`;
    throw new FarsideError("not-found", message, { details: { id } });
  }
  requireOwn(seen, restore.runId, "The disk");
  if (isChanging(seen)) return { change: undefined };
  if (stageOf(seen) === "sealed") return "sealed";
  // Nothing was ever written to it, not even its footer: without access there is none to be given back.
  if (/^ReadyToUpload$/i.test(seen.properties.diskState ?? "")) await writeEnds(access, restore, disk, signal);
  access.forget(id);
  return { change: await endUpload(arm, id, signal) };
}

export async function endUpload(arm: ArmConnection, id: string, signal: AbortSignal): Promise<BegunChange | undefined> {
  const change = { method: "POST", id, action: "endGetAccess", query: diskQuery } as const;
  return beginChange(arm, change, `end the upload of the disk ${nameOf(id)}`, signal);
}
