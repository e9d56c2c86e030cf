/**
 * Makes the disks of a restore, empty and ready to be written, some at a time, and writes behind each what makes it a disk: the footer of a
 * VHD, and the guest state of a trusted-launch VM. At once, and not at the end, so that whoever ends an upload ends that of a whole disk.
 */
import { createHash } from "node:crypto";
import { FarsideError } from "../../../../core/errors.ts";
import { epochMs } from "../../../../core/timestamp.ts";
import { buildVhdFooter } from "../../../../core/vhd.ts";
import type { MachineDisk, MachineRestore } from "../../../../ports/machine-target.ts";
import type { ArmConnection } from "../arm-connection.ts";
import { ensureMade } from "./ensure-made.ts";
import { diskQuery, seeDisk, type SeenDisk } from "./look-at.ts";
import { idOfDisk, nameOf } from "./names.ts";
import { madeBytes, type Json } from "./plan-disk.ts";
import { done, waitingFor, type Step, type StepResult } from "./step-walk.ts";
import { stageOf, type UploadAccess } from "./upload-access.ts";
import { writePages } from "./write-pages.ts";

/** Of 64 disks the operations alone would not fit into a run's row. */
const atOnce = 8;

export interface DiskMaking {
  readonly arm: ArmConnection;
  readonly access: UploadAccess;
  readonly restore: MachineRestore;
  /** The request of each disk, in their order; asked for only where one is to be made. */
  readonly bodies: () => Promise<readonly Json[]>;
}

export function makingSteps(making: DiskMaking): readonly Step[] {
  return batches(making.restore.disks).map((disks) => ({
    doing: "make the disks",
    run: (signal) => makeBatch(making, disks, signal),
  }));
}

export function batches<T>(items: readonly T[]): readonly (readonly T[])[] {
  return Array.from({ length: Math.ceil(items.length / atOnce) }, (_, index) =>
    items.slice(index * atOnce, (index + 1) * atOnce),
  );
}

async function makeBatch(making: DiskMaking, disks: readonly MachineDisk[], signal: AbortSignal): Promise<StepResult> {
  const { arm, restore, bodies, access } = making;
  const made = await allOf(disks, async (disk) => {
    const id = idOfDisk(restore, disk);
    const wanted = {
      id,
      query: diskQuery,
      what: "The disk",
      doing: `make the disk ${nameOf(id)}`,
      body: async () => (await bodies())[restore.disks.indexOf(disk)] ?? {},
      see: () => seeDisk(arm, id, signal),
    };
    return ensureMade<SeenDisk>(arm, restore.runId, wanted, signal);
  });
  const begun = made.flatMap((one) => (one.kind === "begun" ? [one] : []));
  if (begun.length > 0) return waitingFor(...begun.map(({ change }) => change));
  await allOf(disks, async (disk, index) => {
    const one = made[index];
    if (one?.kind === "there" && stageOf(one.seen) !== "sealed") await writeEnds(access, restore, disk, signal);
  });
  return done;
}

/** What goes around the disk's own bytes. From the restore alone: written twice, it is the same. */
export async function writeEnds(
  access: UploadAccess,
  restore: MachineRestore,
  disk: MachineDisk,
  signal: AbortSignal,
): Promise<void> {
  const id = idOfDisk(restore, disk);
  const what = `the disk ${nameOf(id)}`;
  const sizeBytes = madeBytes(disk.sizeBytes);
  const footer = buildVhdFooter({
    sizeBytes,
    createdAtMs: epochMs(restore.snapshotAt),
    uniqueId: createHash("sha256").update(`${restore.runId}/${disk.name}`).digest().subarray(0, 16),
  });
  const guestState = await disk.guestState?.read(signal);
  await access.with(id, restore.runId, signal, async (urls) => {
    await writePages(urls.disk, sizeBytes, footer, what, signal);
    if (guestState === undefined) return;
    if (urls.guestState === undefined) {
      throw new FarsideError(
        "unavailable",
        `The service gave no access to the guest state of ${what}. It is asked again later.`,
      );
    }
    await writePages(urls.guestState, 0, guestState, `the guest state of ${what}`, signal);
  });
}

/** All are brought to their end before the first failure is told: nothing goes on behind the caller's back. */
export async function allOf<T, R>(
  items: readonly T[],
  task: (item: T, index: number) => Promise<R>,
): Promise<readonly R[]> {
  const results = await Promise.allSettled(items.map(task));
  const failed = results.find((result) => result.status === "rejected");
  if (failed !== undefined) throw failed.reason;
  return results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
}
