/**
 * Queue step: copies one window of one disk.
 *
 * 1. Its result is written once, under its own name: doing it again, or twice at once, changes nothing.
 * 2. The next window of its chain is sent before its own result is written, so that a death in between loses no chain.
 * 3. Whoever's result is the last one sees all results, since each looks after writing its own: the one that does sends the commit.
 */
import { segmentsOf } from "../core/backup-plan.ts";
import { FarsideError } from "../core/errors.ts";
import type { AttemptId, RunId } from "../core/ids.ts";
import type { BackupIn } from "../core/run-transitions.ts";
import { withProgress } from "../core/run-transitions.ts";
import type { DiskPlan, WindowResult } from "../wire/work-blob.ts";
import type { DiskToCopy } from "./backup/copy-segment.ts";
import { copySegment } from "./backup/copy-segment.ts";
import { finishedWindows, isCopying, locateWindow, sendWindows, windowCount } from "./backup/windows.ts";
import { diskPlanPath, planPath, progressPath, resultPath } from "./backup/work-paths.ts";
import type { Context } from "./context.ts";
import { changeRun } from "./run/change-run.ts";
import { cancelledByRequest, endingOnFinalErrors, endRun } from "./run/end-run.ts";
import { postponeIfThrottled } from "./run/postpone.ts";
import type { StepOutcome } from "./step-outcome.ts";
import { mapOrdered } from "./vault/map-ordered.ts";
import { createObjectWriter } from "./vault/object-writer.ts";
import type { OpenVault } from "./vault/open-vault.ts";
import { readDiskIndex } from "./vault/read-disk.ts";
import { createWork, putWork, readWork } from "./work.ts";

const segmentsAtOnce = 8;
const lookAgainMs = 10_000;

export interface CopyWindow {
  readonly runId: RunId;
  readonly attemptId: AttemptId;
  readonly window: number;
}

export async function copyWindow(context: Context, input: CopyWindow, signal: AbortSignal): Promise<StepOutcome> {
  const { runId, attemptId } = input;
  const run = (await context.catalog.runs.get(runId, signal))?.value;
  if (run === undefined || !isCopying(run, attemptId)) return late(run?.state);
  const mine = (now: typeof run | Parameters<typeof isCopying>[0]) => isCopying(now, attemptId);
  if (run.cancelRequestedAt !== undefined) return endRun(context, runId, cancelledByRequest, mine, signal);
  return endingOnFinalErrors(context, runId, mine, signal, () =>
    postponeIfThrottled(context, { kind: "copy-window", runId, attemptId, window: input.window }, signal, () =>
      doWindow(context, run, input, signal),
    ),
  );
}

async function doWindow(
  context: Context,
  run: BackupIn<"copying">,
  input: CopyWindow,
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId, attemptId, window } = input;
  const vault = await context.vault(signal);
  const plan = await readWork(vault, runId, "backupPlan", planPath(attemptId), signal);
  const at = plan === undefined ? undefined : locateWindow(plan, window);
  if (plan === undefined || at === undefined) return { kind: "late", reason: "the plan has no such window" };
  const windows = windowCount(plan);
  const done = await readWork(vault, runId, "windowResult", resultPath(attemptId, window), signal);
  if (done === undefined) {
    const diskPlan = await readWork(vault, runId, "diskPlan", diskPlanPath(attemptId, at.disk), signal);
    const result =
      diskPlan &&
      (await copySegments(context, vault, run, { ...input, ...at, plan: diskPlan, number: window }, signal));
    if (result === undefined) return late("unplanned");
    if (result.kind !== "finished") return result;
    const next = window + context.limits.windowsAhead;
    if (next < windows) await sendWindows(context, { runId, attemptId }, [next], signal);
    await createWork(vault, runId, "windowResult", resultPath(attemptId, window), result.result, signal);
  }
  return afterResult(context, vault, run, { window, windows }, signal);
}

/** Looks whether all are in. Not after every window: one whose successor is not in cannot be the last. */
async function afterResult(
  context: Context,
  vault: OpenVault,
  run: BackupIn<"copying">,
  at: { readonly window: number; readonly windows: number },
  signal: AbortSignal,
): Promise<StepOutcome> {
  const { runId } = run;
  const { attemptId } = run.set;
  const next = at.window + context.limits.windowsAhead;
  const showsProgress = at.window % Math.ceil(at.windows / 100) === 0;
  if (next < at.windows && !showsProgress) {
    const successor = await readWork(vault, runId, "windowResult", resultPath(attemptId, next), signal);
    if (successor === undefined) return { kind: "done" };
  }
  const finished = await finishedWindows(vault, runId, attemptId, signal);
  if (finished.size >= at.windows) {
    await context.tasks.send({ kind: "commit-restore-point", runId, attemptId }, 0, signal);
  } else if (showsProgress) {
    const progress = { windows: at.windows, windowsDone: finished.size };
    await changeRun(
      context,
      runId,
      (now) =>
        isCopying(now, attemptId) && (now.progress?.windowsDone ?? 0) < finished.size
          ? withProgress(now, progress, now.disks)
          : undefined,
      signal,
    );
  }
  return { kind: "done" };
}

interface WindowToCopy {
  readonly runId: RunId;
  readonly attemptId: AttemptId;
  readonly disk: number;
  /** In the plan of the disk. */
  readonly window: number;
  /** Over all disks. */
  readonly number: number;
  readonly plan: DiskPlan;
}

type Copied = { readonly kind: "finished"; readonly result: WindowResult } | StepOutcome;

async function copySegments(
  context: Context,
  vault: OpenVault,
  run: BackupIn<"copying">,
  at: WindowToCopy,
  signal: AbortSignal,
): Promise<Copied> {
  const { runId, attemptId, number } = at;
  const disk = await openDisk(context, vault, run, at, signal);
  const planned = at.plan.windows[at.window]?.segments ?? [];
  const path = progressPath(attemptId, number);
  const before = await readWork(vault, runId, "windowResult", path, signal);
  const segments = new Map(before?.segments);
  const { segments: _, ...counts } = { ...noCounts, ...before };
  const pace = createPace(context, run, signal);
  const todo = pace.until(Array.from(segmentsOf(planned)).filter((segment) => !segments.has(segment)));
  const copy = async (segment: number, aborted: AbortSignal) => ({
    segment,
    copied: await copySegment(disk, segment, aborted),
  });
  for await (const { segment, copied } of mapOrdered(todo, segmentsAtOnce, copy, signal)) {
    segments.set(segment, copied.id);
    for (const key of countKeys) counts[key] += copied[key];
  }
  const result = { segments: [...segments], ...counts };
  const stopped = pace.stopped();
  switch (stopped) {
    case "no":
      return { kind: "finished", result };
    case "run-changed":
      return { kind: "late", reason: "the run has changed meanwhile" };
    case "out-of-time":
      await putWork(vault, runId, "windowResult", path, result, signal);
      await sendWindows(context, { runId, attemptId }, [number], signal);
      return { kind: "continued" };
    default:
      return stopped satisfies never;
  }
}

const countKeys = ["changedBytes", "readBytes", "newChunks", "newBytes", "storedBytes"] as const;
const noCounts = { segments: [], changedBytes: 0, readBytes: 0, newChunks: 0, newBytes: 0, storedBytes: 0 };

async function openDisk(
  context: Context,
  vault: OpenVault,
  run: BackupIn<"copying">,
  at: WindowToCopy,
  signal: AbortSignal,
): Promise<DiskToCopy> {
  const snapshot = run.set.snapshots[at.disk];
  if (snapshot === undefined || snapshot.disk !== at.plan.disk) {
    throw new FarsideError(
      "internal",
      `The plan of disk ${at.plan.disk} does not fit the snapshots of run ${run.runId}.`,
    );
  }
  const { parent, method } = at.plan;
  const index = parent === undefined ? undefined : await readDiskIndex(vault, parent, signal);
  const { chunksAtOnce } = context.limits;
  return {
    vault,
    source: context.source(run.set.source),
    snapshot,
    method,
    parent: parent === undefined || index === undefined ? undefined : { index, snapshot: parent.snapshot },
    writer: createObjectWriter(vault, { startedAt: run.set.sessionStartedAt }, signal),
    transfer: context.transfer,
    chunksAtOnce,
  };
}

type Stopped = "no" | "out-of-time" | "run-changed";

/** Hands out segments as long as there is time and the run still wants them. */
function createPace(context: Context, run: BackupIn<"copying">, signal: AbortSignal) {
  const { clock, limits } = context;
  const deadline = clock.monotonic() + limits.stepBudgetMs;
  let lookedAt = clock.monotonic();
  let stopped: Stopped = "no";
  async function* until(segments: readonly number[]): AsyncGenerator<number, void, undefined> {
    for (const [position, segment] of segments.entries()) {
      // At least one, so that every delivery gets somewhere.
      if (position > 0 && clock.monotonic() > deadline) {
        stopped = "out-of-time";
        return;
      }
      if (clock.monotonic() - lookedAt > lookAgainMs) {
        lookedAt = clock.monotonic();
        const now = (await context.catalog.runs.get(run.runId, signal))?.value;
        if (now === undefined || !isCopying(now, run.set.attemptId) || now.cancelRequestedAt !== undefined) {
          stopped = "run-changed";
          return;
        }
      }
      yield segment;
    }
  }
  return { until, stopped: (): Stopped => stopped };
}

function late(state: string | undefined): StepOutcome {
  return { kind: "late", reason: `the run is ${state ?? "unknown"}, or at another attempt` };
}
