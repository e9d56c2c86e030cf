/**
 * The next row of a run, for each thing that can happen to it (the states: run.ts). Pure; each takes the state it may leave
 * and carries on only what the next state has a place for.
 */
import type { ErrorRecord } from "./errors.ts";
import type { AttemptId } from "./ids.ts";
import { attemptId } from "./ids.ts";
import type { MadeResource } from "./machine-restore.ts";
import type {
  BackupRun,
  DiskProgress,
  Freeze,
  Halt,
  PendingPlatform,
  PendingSnapshots,
  RestoreDisk,
  RestoreRun,
  Run,
  SafetySnapshot,
  SnapshotSet,
  Waiting,
  WindowProgress,
} from "./run.ts";
import type { Timestamp } from "./timestamp.ts";
import { addMs, timestamp } from "./timestamp.ts";

export type BackupIn<State extends BackupRun["state"]> = Extract<BackupRun, { readonly state: State }>;
export type RestoreIn<State extends RestoreRun["state"]> = Extract<RestoreRun, { readonly state: State }>;
export type ActiveBackup = BackupIn<"queued" | "snapshotting" | "copying" | "committing">;
export type ActiveRestore = RestoreIn<"queued" | "preparing" | "copying" | "finishing">;
export type ActiveRun = ActiveBackup | ActiveRestore;
export type EndedRun = BackupIn<"succeeded" | "failed" | "cancelled"> | RestoreIn<"succeeded" | "failed" | "cancelled">;

export function isActive(run: Run): run is ActiveRun {
  return run.state !== "succeeded" && run.state !== "failed" && run.state !== "cancelled";
}

/** Whether the VM is this run's: also after its end, as long as a VM that it has stopped is not known to run again. */
export function holdsVm(run: Run): boolean {
  return isActive(run) || haltOf(run) !== undefined;
}

export function haltOf(run: Run): Halt | undefined {
  return run.kind === "backup" ? run.halt : undefined;
}

/** A VM that was stopped, and a guest that nobody has thawed yet, go with the run through every state, to its clean-up. */
function undone(run: BackupRun): { readonly freeze?: Freeze; readonly halt?: Halt } {
  return { ...(run.freeze === undefined ? {} : { freeze: run.freeze }), ...stopped(run) };
}

function stopped({ halt }: BackupRun): { readonly halt?: Halt } {
  return halt === undefined ? {} : { halt };
}

/** What every state of a backup run carries. */
function facts(run: BackupRun) {
  const { kind, runId, vm, vmId, createdAt, trigger, policy, wanted, least, retryUntil, attempt } = run;
  return {
    kind,
    runId,
    vm,
    vmId,
    createdAt,
    trigger,
    policy,
    wanted,
    least,
    retryUntil,
    attempt,
    ...(run.stops === undefined ? {} : { stops: run.stops }),
    ...(run.startedAt === undefined ? {} : { startedAt: run.startedAt }),
    ...(run.cancelRequestedAt === undefined ? {} : { cancelRequestedAt: run.cancelRequestedAt }),
  };
}

function restoreFacts(run: RestoreRun) {
  const { kind, runId, vm, vmId, createdAt, pointId, target, disks } = run;
  return {
    kind,
    runId,
    vm,
    vmId,
    createdAt,
    pointId,
    target,
    disks,
    ...(run.startedAt === undefined ? {} : { startedAt: run.startedAt }),
    ...(run.cancelRequestedAt === undefined ? {} : { cancelRequestedAt: run.cancelRequestedAt }),
    ...(run.safety === undefined ? {} : { safety: run.safety }),
    ...(run.machine === undefined ? {} : { machine: run.machine }),
  };
}

export function claimAttempt(run: BackupIn<"queued">, now: number, leaseMs: number): BackupIn<"snapshotting"> {
  const attempt = run.attempt + 1;
  return {
    ...facts(run),
    attempt,
    startedAt: run.startedAt ?? timestamp(now),
    state: "snapshotting",
    leaseUntil: timestamp(now + leaseMs),
    attemptId: attemptId(run.runId, attempt),
    ...(run.waiting === undefined ? {} : { waited: run.waiting }),
    ...undone(run),
  };
}

export function withFreeze(run: BackupIn<"snapshotting">, freeze: Freeze): BackupIn<"snapshotting"> {
  return { ...run, freeze };
}

export function withHalt(run: BackupIn<"snapshotting">, halt: Halt, leaseUntil: Timestamp): BackupIn<"snapshotting"> {
  return { ...run, halt, leaseUntil, stops: (run.stops ?? 0) + 1 };
}

/** The platform goes on by itself: nobody owns the attempt until it is time to look. */
export function withPending(
  run: BackupIn<"snapshotting">,
  pending: PendingSnapshots,
  now: number,
): BackupIn<"snapshotting"> {
  return { ...run, leaseUntil: timestamp(now), pending };
}

export function claimPending(run: BackupIn<"snapshotting">, now: number, leaseMs: number): BackupIn<"snapshotting"> {
  return { ...run, leaseUntil: timestamp(now + leaseMs) };
}

export function putBack(run: BackupIn<"snapshotting">, waiting: Waiting, notBefore: Timestamp): BackupIn<"queued"> {
  return { ...facts(run), state: "queued", notBefore, waiting, ...undone(run) };
}

/** `freeze`: only where the guest could not be thawed. */
export function beginCopying(
  run: BackupIn<"snapshotting">,
  set: SnapshotSet,
  freeze: Freeze | undefined,
): BackupIn<"copying"> {
  const downtime = run.rested === undefined ? {} : { downtime: run.rested.downtime };
  return {
    ...facts(run),
    state: "copying",
    set: { ...set, ...downtime },
    disks: [],
    ...(freeze === undefined ? {} : { freeze }),
    ...stopped(run),
  };
}

export function withProgress(
  run: BackupIn<"copying">,
  progress: WindowProgress,
  disks: readonly DiskProgress[],
): BackupIn<"copying"> {
  return { ...run, progress, disks };
}

/** The disks' instant is fixed, and the stop has come to its end: from here on the VM is started. */
export function withRest(run: BackupIn<"snapshotting">, atRest: boolean): BackupIn<"snapshotting"> {
  if (run.halt === undefined || run.rested !== undefined) return run;
  const { doubtUntil: _, ...halt } = run.halt;
  const { source, requestedAt: stopAskedAt } = halt;
  return { ...run, halt: { ...halt, released: true }, rested: { source, atRest, downtime: { stopAskedAt } } };
}

export function withHaltNow(run: BackupRun, halt: Halt): BackupRun {
  return { ...withDowntime(run, halt, undefined), halt };
}

/** The VM was seen running, or nobody starts it any more: then without `runningAt`. */
export function withoutHalt(run: BackupRun, runningAt: Timestamp | undefined): BackupRun {
  if (run.halt === undefined) return run;
  const { halt: _, ...rest } = withDowntime(run, run.halt, runningAt);
  return rest;
}

/** What its snapshots tell of the time that the VM was down, if it has some. */
function withDowntime(run: BackupRun, { startAskedAt }: Halt, runningAt: Timestamp | undefined): BackupRun {
  const told = {
    ...(startAskedAt === undefined ? {} : { startAskedAt }),
    ...(runningAt === undefined ? {} : { runningAt }),
  };
  if (run.state === "snapshotting" && run.rested !== undefined) {
    return { ...run, rested: { ...run.rested, downtime: { ...run.rested.downtime, ...told } } };
  }
  if (!("set" in run) || run.set?.downtime === undefined) return run;
  return { ...run, set: { ...run.set, downtime: { ...run.set.downtime, ...told } } };
}

export function withoutFreeze(run: BackupRun): BackupRun {
  const { freeze: _, ...rest } = run;
  return rest;
}

export function beginCommitting(run: BackupIn<"copying">, disks: readonly DiskProgress[]): BackupIn<"committing"> {
  return { ...facts(run), state: "committing", set: run.set, disks, ...undone(run) };
}

export function succeedBackup(run: BackupIn<"committing">, now: number): BackupIn<"succeeded"> {
  return {
    ...facts(run),
    state: "succeeded",
    finishedAt: timestamp(now),
    set: run.set,
    restorePointId: run.set.pointId,
    disks: run.disks,
    ...undone(run),
    cleanUp: "pending",
  };
}

export function prepareRestore(run: RestoreIn<"queued">, now: number): RestoreIn<"preparing"> {
  return { ...restoreFacts(run), startedAt: run.startedAt ?? timestamp(now), state: "preparing" };
}

/** A restore for which the platform makes something, in its own time. */
export type AtPlatform = RestoreIn<"preparing" | "finishing">;

/** Whoever makes this change looks at the platform next, alone until its lease is over. */
export function claimLook(run: AtPlatform, now: number, leaseMs: number): AtPlatform {
  const leaseUntil = timestamp(now + leaseMs);
  return { ...run, pending: { lookAt: timestamp(now), ...run.pending, leaseUntil } };
}

/** Nobody looks any more, until `lookAt`. */
export function endLook(
  run: AtPlatform,
  next: { readonly operation?: string; readonly lookAt?: Timestamp },
  now: number,
): AtPlatform {
  return { ...run, pending: { lookAt: timestamp(now), ...run.pending, ...next, leaseUntil: timestamp(now) } };
}

/** Whether somebody may be looking now. */
export function isLookedAt(
  run: { readonly pending?: Pick<PendingPlatform, "leaseUntil"> },
  now: number,
  stepBudgetMs: number,
): boolean {
  return run.pending !== undefined && leaseHolds(run.pending.leaseUntil, now, stepBudgetMs);
}

/** What a phase of the platform has made and told. */
interface Found {
  readonly made: readonly MadeResource[];
  readonly notes: readonly string[];
}

function withMade<Restore extends RestoreRun>(run: Restore, found: Found): Restore {
  const { machine } = run;
  if (machine === undefined) return run;
  // ARM ids do not tell upper case from lower.
  const known = new Set(machine.made.map(({ kind, id }) => `${kind} ${id.toLowerCase()}`));
  const made = [...machine.made, ...found.made.filter(({ kind, id }) => !known.has(`${kind} ${id.toLowerCase()}`))];
  const notes = [...new Set([...machine.notes, ...found.notes])];
  return { ...run, machine: { ...machine, made, notes } };
}

/** What making its targets ready has found out. */
export interface PreparedRestore {
  readonly windows: number;
  readonly disks: readonly RestoreDisk[];
  /** Revert only. */
  readonly safety?: readonly SafetySnapshot[];
  /** Restores to the platform only. */
  readonly found?: Found;
}

export function copyRestore(run: RestoreIn<"preparing">, prepared: PreparedRestore): RestoreIn<"copying"> {
  const { windows, disks, safety, found } = prepared;
  return {
    ...restoreFacts(found === undefined ? run : withMade(run, found)),
    disks,
    ...(safety === undefined ? {} : { safety }),
    state: "copying",
    progress: { windows, windowsDone: 0 },
  };
}

export function finishingRestore(run: RestoreIn<"copying">): RestoreIn<"finishing"> {
  const { windows } = run.progress;
  return { ...restoreFacts(run), state: "finishing", progress: { windows, windowsDone: windows } };
}

/** `writtenBytes`: revert only, one for each disk. `found`: restores to the platform only. */
export function succeedRestore(
  run: RestoreIn<"finishing">,
  { writtenBytes, found }: { readonly writtenBytes?: readonly number[] | undefined; readonly found?: Found },
  now: number,
): RestoreIn<"succeeded"> {
  const disks = run.disks.map((disk, number) => ({
    ...disk,
    restoredBytes: disk.sizeBytes,
    ...(writtenBytes === undefined ? {} : { writtenBytes: writtenBytes[number] ?? 0 }),
  }));
  const facts = restoreFacts(found === undefined ? run : withMade(run, found));
  return { ...facts, disks, state: "succeeded", finishedAt: timestamp(now), cleanUp: "pending" };
}

export function endRun(run: ActiveRun, state: "failed" | "cancelled", error: ErrorRecord, now: number): EndedRun {
  const end = { state, finishedAt: timestamp(now), error, cleanUp: "pending" } as const;
  if (run.kind === "restore") return { ...restoreFacts(run), ...end, error: withWayBack(run, error) };
  switch (run.state) {
    case "queued":
    case "snapshotting":
      return { ...facts(run), ...end, disks: [], ...undone(run) };
    case "copying":
    case "committing":
      return { ...facts(run), ...end, set: run.set, disks: run.disks, ...undone(run) };
    default:
      return run satisfies never;
  }
}

/** A revert that has begun to write and does not come to its end leaves disks of two times: its error says how to go on or back. */
function withWayBack(run: ActiveRestore, error: ErrorRecord): ErrorRecord {
  if (run.safety === undefined) return error;
  const disks = run.disks.map((disk) => disk.name).join(", ");
  const message = `${error.message} The disks ${disks} may be half way between two times: do not start the VM. To go on, revert again to the same restore point (${run.pointId}): what is equal already is passed over. To go back, use the safety snapshots that "farside run show ${run.runId}" lists.`;
  return { ...error, message };
}

export function requestCancel(run: ActiveRun, now: number): ActiveRun {
  return run.cancelRequestedAt === undefined ? { ...run, cancelRequestedAt: timestamp(now) } : run;
}

export function cleanedUp(run: EndedRun): EndedRun {
  if (run.kind === "backup" || run.state === "succeeded") return { ...run, cleanUp: "done" };
  const { cleanUpAt: _, ...rest } = run;
  return { ...rest, cleanUp: "done" };
}

/** The platform is asked again then. */
export function withCleanUpAt(
  run: RestoreIn<"failed" | "cancelled">,
  cleanUpAt: Timestamp,
): RestoreIn<"failed" | "cancelled"> {
  return { ...run, cleanUp: "pending", cleanUpAt };
}

/** A step that came back after the run's end may have made something after its clean-up. */
export function reopenCleanUp(run: RestoreIn<"failed" | "cancelled">): RestoreIn<"failed" | "cancelled"> {
  const { cleanUpAt: _, ...rest } = run;
  return { ...rest, cleanUp: "pending" };
}

/** The attempt that a run is at, or was at last; undefined before its first. */
export function currentAttempt(run: BackupRun): AttemptId | undefined {
  return run.attempt === 0 ? undefined : attemptId(run.runId, run.attempt);
}

/** When an attempt that gives no sign counts as dead. */
export function leaseMs(stepBudgetMs: number): number {
  return 2 * stepBudgetMs;
}

/** A lease that ends later than any lease given now could was given by a clock that was ahead: it counts for nothing. */
export function leaseHolds(leaseUntil: Timestamp, now: number, stepBudgetMs: number): boolean {
  const at = timestamp(now);
  return leaseUntil > at && leaseUntil <= addMs(at, leaseMs(stepBudgetMs) + 60_000);
}
