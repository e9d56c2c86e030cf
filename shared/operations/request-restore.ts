/**
 * A restore into a container, as a run. Works from the vault alone: the VM need not be protected any more, nor its source exist.
 *
 * Everything that can be refused is refused here, before a row, a message or a target exists.
 */
import { FarsideError } from "../core/errors.ts";
import type { DiskName } from "../core/ids.ts";
import { parseRunId } from "../core/ids.ts";
import { runEvents } from "../core/run-events.ts";
import type { RestoreDisk, RestoreRun } from "../core/run.ts";
import { timestamp } from "../core/timestamp.ts";
import { ulid } from "../core/ulid.ts";
import type { Context } from "./context.ts";
import type { PointChoice } from "./restore/choose-point.ts";
import { chooseRestore } from "./restore/choose-restore.ts";
import { idempotentRun } from "./run/idempotent-run.ts";
import { recordEvent } from "./run/record-event.ts";
import { findVm } from "./vault/find-vm.ts";

export type { PointChoice } from "./restore/choose-point.ts";

export interface RestoreRequest {
  /** A VM's name or its id in the vault; the VM need not be protected any more. */
  readonly vm: string;
  readonly point: PointChoice;
  /** All disks where it is absent. */
  readonly disks?: readonly DiskName[];
  readonly targetUrl: string;
  /** Restore a point that is marked with the risk of USN rollback all the same. */
  readonly acceptUsnRollbackRisk?: boolean;
  /** The same key for the same VM gives the same run. */
  readonly idempotencyKey?: string;
}

export interface RestoreRequested {
  readonly kind: "started" | "repeated";
  readonly run: RestoreRun;
}

/**
 * Throws `not-found` for an unknown VM, point or disk, `bad-input` for a disk named twice, `target-exists` for a taken target, `refused` for a point with the
 * risk of USN rollback that was not accepted. Nothing has been made then.
 */
export async function requestRestore(
  context: Context,
  input: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreRequested> {
  const vault = await context.vault(signal);
  const vmId = await findVm(vault, input.vm, signal);
  const request = { what: `restore|${vmId}`, key: input.idempotencyKey };
  const before = await idempotentRun(context, request, undefined, signal);
  if (before?.run?.kind === "restore") return repeat(context, before.run, signal);

  const choice = {
    point: input.point,
    ...(input.disks === undefined ? {} : { disks: input.disks.map((name) => ({ name })) }),
    acceptMixedPoints: false,
    acceptUsnRollbackRisk: input.acceptUsnRollbackRisk ?? false,
  };
  const { manifest, disks: chosen } = await chooseRestore(vault, vmId, choice, signal);
  const fresh = before?.runId ?? parseRunId(ulid(context.clock.now(), context.random.bytes(10)));
  const disks = chosen.map(({ disk: { name, sizeBytes } }): RestoreDisk => {
    return { name, sizeBytes, url: context.target.locate(input.targetUrl, name), restoredBytes: 0 };
  });
  await refuseTaken(context, disks, fresh, signal);

  const runId = (await idempotentRun(context, request, fresh, signal))?.runId ?? fresh;
  const run: RestoreRun = {
    kind: "restore",
    runId,
    vm: manifest.vmName,
    vmId,
    createdAt: timestamp(context.clock.now()),
    pointId: manifest.pointId,
    target: { kind: "container", url: input.targetUrl },
    disks,
    state: "queued",
  };
  const inserted = await context.catalog.runs.insert(run, signal);
  await context.tasks.send({ kind: "start-restore", runId }, 0, signal);
  const message = `A restore of ${manifest.pointId} was requested.`;
  const facts = { runId, at: run.createdAt, name: runEvents.requested, message, fields: { vm: run.vm } };
  await recordEvent(context, facts, signal);
  return { kind: inserted === "exists" ? "repeated" : "started", run };
}

/** The first request may have died before its message. */
async function repeat(context: Context, run: RestoreRun, signal: AbortSignal): Promise<RestoreRequested> {
  if (run.state === "queued") await context.tasks.send({ kind: "start-restore", runId: run.runId }, 0, signal);
  return { kind: "repeated", run };
}

async function refuseTaken(
  context: Context,
  disks: readonly RestoreDisk[],
  runId: RestoreRun["runId"],
  signal: AbortSignal,
): Promise<void> {
  for (const disk of disks) {
    if (!(await context.target.isTaken(disk, runId, signal))) continue;
    const message = `The target ${disk.url} exists already: remove it, or give another container.`;
    throw new FarsideError("target-exists", message, { details: { url: disk.url } });
  }
}
