/**
 * Queue step: writes one window of one restored disk. Writing it again writes the same bytes to the same place; its result is
 * written once. The chain of windows and its end work as for a backup (copy-window.ts, rules 2 and 3).
 */
import type { RunId } from "../core/ids.ts";
import { FarsideError } from "../core/errors.ts";
import type { RestoreIn } from "../core/run-transitions.ts";
import type { RestoreDisk, Run } from "../core/run.ts";
import { isMachineTarget } from "../core/run.ts";
import type { ObjectId } from "../core/vault/manifest.ts";
import type { RestorePlan } from "../wire/work-blob.ts";
import type { Context } from "./context.ts";
import { machineDisk } from "./restore/machine-restore.ts";
import { revertStretch, stretches } from "./restore/revert-chunk.ts";
import { reverterOf } from "./restore/revert-disks.ts";
import { restorePlanPath, restoreProgressPath, restoreResultPath, restoreResultPrefix } from "./restore/work-paths.ts";
import { changeRun } from "./run/change-run.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import { postponeIfThrottled } from "./run/postpone.ts";
import type { StepOutcome } from "./step-outcome.ts";
import { mapOrdered } from "./vault/map-ordered.ts";
import type { OpenVault } from "./vault/open-vault.ts";
import { fetchPiece, planDisk, readDiskIndex, type PiecePlan } from "./vault/read-disk.ts";
import { listWorkBlobs } from "./vault/work-blobs.ts";
import { createWork, putWork, readWork } from "./work.ts";

const lookAgainMs = 10_000;
/**
 * Of the process's places, of which there are only so many over all windows: held from before a chunk is read until it is written. It is
 * in memory as it is stored and as it was; in a revert, beside what the disk has.
 */
const placesOfChunk = 2;

export async function restoreWindow(
  context: Context,
  input: { readonly runId: RunId; readonly window: number },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId, window } = input;
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run === undefined || !isRestoring(run)) return { kind: "late", reason: `the run is ${run?.state ?? "unknown"}` };
  if (run.cancelRequestedAt !== undefined) return endRun(context, runId, cancelledByRequest, isRestoring, signal);
  return endingOnFinalErrors(context, runId, isRestoring, signal, () =>
    postponeIfThrottled(context, { kind: "restore-window", runId, window }, signal, () =>
      doWindow(context, run, window, signal),
    ),
  );
}

async function doWindow(
  context: Context,
  run: RestoreIn<"copying">,
  window: number,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId } = run;
  const vault = await context.vault(signal);
  const plan = await readWork(vault, runId, "restorePlan", restorePlanPath, signal);
  const planned = plan?.windows[window];
  if (plan === undefined || planned === undefined) return { kind: "late", reason: "the plan has no such window" };
  const windows = plan.windows.length;
  const next = window + context.limits.windowsAhead;
  if ((await readWork(vault, runId, "restoreResult", restoreResultPath(window), signal)) === undefined) {
    const written = await writeWindow(context, vault, run, { ...planned, window }, signal);
    if (written.kind !== "finished") return written;
    if (next < windows) await context.tasks.send({ kind: "restore-window", runId, window: next }, 0, signal);
    const result = { doneToByte: planned.toByte, writtenBytes: written.writtenBytes };
    await createWork(vault, runId, "restoreResult", restoreResultPath(window), result, signal);
  }
  await afterResult(context, vault, run, { window, windows, next }, signal);
  return { kind: "done" };
}

async function afterResult(
  context: Context,
  vault: OpenVault,
  run: RestoreIn<"copying">,
  at: { readonly window: number; readonly windows: number; readonly next: number },
  signal: AbortSignal,
): Promise<void> {
  const { runId } = run;
  const { window, windows, next } = at;
  const showsProgress = window % Math.ceil(windows / 100) === 0;
  if (next < windows && !showsProgress) {
    if ((await readWork(vault, runId, "restoreResult", restoreResultPath(next), signal)) === undefined) return;
  }
  let windowsDone = 0;
  for await (const _ of listWorkBlobs(vault, runId, restoreResultPrefix, signal)) windowsDone++;
  if (windowsDone >= windows) await context.tasks.send({ kind: "finish-restore", runId }, 0, signal);
  else if (showsProgress) {
    await changeRun(
      context,
      runId,
      (now) =>
        isRestoring(now) && now.progress.windowsDone < windowsDone
          ? { ...now, progress: { windows, windowsDone } }
          : undefined,
      signal,
    );
  }
}

type Written = { readonly kind: "finished"; readonly writtenBytes: number } | StepOutcome;

async function writeWindow(
  context: Context,
  vault: OpenVault,
  run: RestoreIn<"copying">,
  at: RestorePlan["windows"][number] & { readonly window: number },
  signal: AbortSignal,
): Promise<Written> {
  const { runId } = run;
  const { clock, limits } = context;
  const disk = run.disks[at.disk];
  if (disk === undefined)
    throw new FarsideError("internal", `The plan of restore ${runId} names a disk that it does not have.`);
  const path = restoreProgressPath(at.window);
  const before = await readWork(vault, runId, "restoreResult", path, signal);
  const fromByte = before?.doneToByte ?? at.fromByte;
  let writtenBytes = before?.writtenBytes ?? 0;
  const deadline = clock.monotonic() + limits.stepBudgetMs;
  let lookedAt = clock.monotonic();
  const open = { index: at.index, disk, range: { fromByte, toByte: at.toByte } };
  const work = run.target.kind === "revert" ? revertWork : restoreWork;
  const { pieces, write } = await work(context, vault, run, open, signal);
  for await (const piece of mapOrdered(pieces, limits.chunksAtOnce, write, signal)) {
    writtenBytes += piece.writtenBytes;
    const doneToByte = piece.offset + piece.length;
    if (doneToByte < at.toByte && clock.monotonic() > deadline) {
      await putWork(vault, runId, "restoreResult", path, { doneToByte, writtenBytes }, signal);
      await context.tasks.send({ kind: "restore-window", runId, window: at.window }, 0, signal);
      return { kind: "continued" };
    }
    if (clock.monotonic() - lookedAt > lookAgainMs) {
      lookedAt = clock.monotonic();
      const now = (await context.catalog.runs.get(runId, signal))?.value;
      if (now === undefined || !isRestoring(now)) return { kind: "late", reason: "the run has changed meanwhile" };
    }
  }
  return { kind: "finished", writtenBytes };
}

/** A window's work: its stretches in order, and what is done with each. */
interface WindowWork {
  readonly pieces: AsyncIterable<PiecePlan>;
  readonly write: (piece: PiecePlan, signal: AbortSignal) => Promise<PiecePlan & { readonly writtenBytes: number }>;
}

interface WindowOfDisk {
  readonly index: ObjectId;
  readonly disk: RestoreDisk;
  readonly range: { readonly fromByte: number; readonly toByte: number };
}

/** Into an empty target: zeros need no write. */
async function restoreWork(
  { target, machines, transfer }: Context,
  vault: OpenVault,
  run: RestoreIn<"copying">,
  { index: id, disk, range }: WindowOfDisk,
  signal: AbortSignal,
): Promise<WindowWork> {
  const { runId } = run;
  const index = await readDiskIndex(vault, { index: id, sizeBytes: disk.sizeBytes }, signal);
  const put = (offset: number, content: Uint8Array, aborted: AbortSignal): Promise<void> =>
    isMachineTarget(run.target)
      ? machines.write(machineDisk(disk), runId, offset, content, aborted)
      : target.write(disk, runId, offset, content, aborted);
  return {
    pieces: planDisk(vault, index, range, signal),
    write: async (plan, aborted) => {
      if (plan.kind === "zero") return { ...plan, writtenBytes: 0 };
      return transfer.places.take(placesOfChunk, async () => {
        aborted.throwIfAborted();
        const piece = await fetchPiece(vault, index, plan, aborted);
        if (piece.kind === "data") await put(piece.offset, piece.content, aborted);
        return { ...plan, writtenBytes: plan.length };
      });
    },
  };
}

/** Into the VM's own disk: only what differs. */
async function revertWork(
  context: Context,
  vault: OpenVault,
  run: RestoreIn<"copying">,
  { index: id, disk, range }: WindowOfDisk,
  signal: AbortSignal,
): Promise<WindowWork> {
  const before = run.safety?.find((one) => one.disk === disk.name)?.reference;
  if (before === undefined) throw new FarsideError("internal", `Revert ${run.runId} writes without a safety snapshot.`);
  const index = await readDiskIndex(vault, { index: id, sizeBytes: disk.sizeBytes }, signal);
  const revert = {
    vault,
    index,
    source: context.source("page-blob"),
    reverter: reverterOf(context, "page-blob"),
    disk,
    runId: run.runId,
    before,
  };
  return {
    pieces: stretches(revert, planDisk(vault, index, range, signal), signal),
    write: async (plan, aborted) =>
      context.transfer.places.take(placesOfChunk, async () => {
        aborted.throwIfAborted();
        return { ...plan, writtenBytes: await revertStretch(revert, plan, aborted) };
      }),
  };
}

function isRestoring(run: Run): run is RestoreIn<"copying"> {
  return run.kind === "restore" && run.state === "copying";
}
