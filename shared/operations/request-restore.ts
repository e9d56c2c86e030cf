/**
 * A restore by the service, as a run: into a container, from the vault alone, so that the VM need not be protected any more, nor its
 * source exist; into the VM's own disks (a revert); or to disks and VMs that the platform makes.
 *
 * Everything that can be refused is refused here, before a row, a message or a target exists.
 */
import { FarsideError } from "../core/errors.ts";
import type { RunId } from "../core/ids.ts";
import { parseRunId, quote } from "../core/ids.ts";
import { runEvents } from "../core/run-events.ts";
import type { MachineFacts, RestoreDisk, RestoreRun, RestoreTarget } from "../core/run.ts";
import { isMachineTarget, ownsVm } from "../core/run.ts";
import { timestamp } from "../core/timestamp.ts";
import { ulid } from "../core/ulid.ts";
import { canonicalJson } from "../core/vault/canonical-json.ts";
import type { Context } from "./context.ts";
import type { PointChoice } from "./restore/choose-point.ts";
import { chooseRestore, type ChosenDisk, type ChosenRestore, type DiskChoice } from "./restore/choose-restore.ts";
import { disksOnPlatform } from "./restore/disks-on-platform.ts";
import { disksToRevert, protectedVm } from "./restore/revert-disks.ts";
import { activeRunOf, claimVm } from "./run/claim-vm.ts";
import { idempotentRun } from "./run/idempotent-run.ts";
import { recordEvent } from "./run/record-event.ts";
import { findVm } from "./vault/find-vm.ts";

export type { PointChoice } from "./restore/choose-point.ts";

export interface RestoreRequest {
  /** A VM's name or its id in the vault; unless its own disks are reverted or exchanged, it need not be protected any more. */
  readonly vm: string;
  readonly point: PointChoice;
  /** All disks where it is absent. */
  readonly disks?: readonly DiskChoice[];
  readonly target: RestoreTarget;
  /** Take the disks from different restore points, where `disks` says so. */
  readonly acceptMixedPoints?: boolean;
  /** Restore a point that is marked with the risk of USN rollback all the same. */
  readonly acceptUsnRollbackRisk?: boolean;
  /** The same key for the same VM and the same request gives the same run. */
  readonly idempotencyKey?: string;
}

export interface RestoreRequested {
  readonly kind: "started" | "repeated";
  readonly run: RestoreRun;
}

/**
 * Throws `not-found` for an unknown VM, point or disk, `bad-input` for a disk named twice, `target-exists` for a taken target, `already-exists`
 * for a key that stands for another request, `run-active` for a revert or an exchange while a run owns the VM, `refused` for what could do harm
 * and was not accepted by name, and what the platform refuses (machine-target.ts, `preflight`). Nothing has been made then.
 */
export async function requestRestore(
  context: Context,
  input: RestoreRequest,
  signal: AbortSignal,
): Promise<RestoreRequested> {
  const vault = await context.vault(signal);
  const vmId = await findVm(vault, input.vm, signal);
  const { idempotencyKey: key, vm: _, ...body } = input;
  const request = { what: `restore|${vmId}`, key, body: canonicalJson(body) };
  const before = await idempotentRun(context, request, undefined, signal);
  if (before?.run?.kind === "restore") return repeat(context, before.run, signal);

  const choice = {
    point: input.point,
    ...(input.disks === undefined ? {} : { disks: input.disks }),
    acceptMixedPoints: input.acceptMixedPoints ?? false,
    acceptUsnRollbackRisk: input.acceptUsnRollbackRisk ?? false,
  };
  const chosen = await chooseRestore(vault, vmId, choice, signal);
  const fresh = before?.runId ?? parseRunId(ulid(context.clock.now(), context.random.bytes(10)));
  const { manifest } = chosen;
  const facts = { vm: manifest.vmName, vmId, target: input.target };
  const placed = await placeRestore(context, { ...facts, runId: fresh }, chosen, signal);

  const runId = (await idempotentRun(context, request, fresh, signal))?.runId ?? fresh;
  const createdAt = timestamp(context.clock.now());
  const run: RestoreRun = {
    ...facts,
    kind: "restore",
    runId,
    createdAt,
    pointId: manifest.pointId,
    ...placed,
    state: "queued",
  };
  const inserted = await context.catalog.runs.insert(run, signal);
  if (ownsVm(input.target)) {
    const claim = await claimVm(context, { vmId, runId, as: "revert" }, signal);
    if (claim.kind === "held") {
      if (inserted !== "exists") await context.catalog.runs.remove(runId, inserted, signal);
      throw runActive(run, claim.by);
    }
  }
  await context.tasks.send({ kind: "start-restore", runId }, 0, signal);
  const message = `A restore of ${manifest.pointId} was requested.`;
  await recordEvent(
    context,
    { runId, at: createdAt, name: runEvents.requested, message, fields: { vm: run.vm } },
    signal,
  );
  return { kind: inserted === "exists" ? "repeated" : "started", run };
}

/** The first request may have died before its message. */
async function repeat(context: Context, run: RestoreRun, signal: AbortSignal): Promise<RestoreRequested> {
  if (run.state === "queued") await context.tasks.send({ kind: "start-restore", runId: run.runId }, 0, signal);
  return { kind: "repeated", run };
}

type Placed = { readonly disks: readonly RestoreDisk[]; readonly machine?: MachineFacts };

async function placeRestore(
  context: Context,
  run: Pick<RestoreRun, "vm" | "vmId" | "target" | "runId">,
  chosen: ChosenRestore,
  signal: AbortSignal,
): Promise<Placed> {
  const { target, runId, vmId } = run;
  if (ownsVm(target)) {
    const active = await activeRunOf(context, vmId, signal);
    if (active !== undefined && active !== runId) throw runActive(run, active);
  }
  if (isMachineTarget(target)) return disksOnPlatform(context, { ...run, target }, chosen, signal);
  return { disks: await targetDisks(context, run, chosen.disks, signal) };
}

/** Where each disk goes; throws where it must not go there. */
async function targetDisks(
  context: Context,
  run: Pick<RestoreRun, "vm" | "vmId" | "target" | "runId">,
  chosen: readonly ChosenDisk[],
  signal: AbortSignal,
): Promise<readonly RestoreDisk[]> {
  const { target, runId } = run;
  const facts = chosen.map(({ disk: { name, sizeBytes }, manifest: { pointId } }) => {
    return { name, sizeBytes, pointId, restoredBytes: 0 };
  });
  if (target.kind === "revert") {
    const vm = await protectedVm(context, run, signal);
    const sources = chosen.map(({ disk }) => disk);
    const stand = await disksToRevert(context, vm, runId, sources, signal);
    return facts.map((disk, number) => ({ ...disk, url: stand[number]?.url ?? "" }));
  }
  if (target.kind !== "container") throw new FarsideError("internal", `A ${target.kind} is no container.`);
  const disks = facts.map((disk) => ({ ...disk, url: context.target.locate(target.url, disk.name) }));
  await refuseVault(context, disks, signal);
  await refuseTaken(context, disks, runId, target.overwrite === true, signal);
  return disks;
}

/** What is kept there may be under rules (immutability, lifetimes) that are right for backups and for nothing else. */
async function refuseVault(context: Context, disks: readonly RestoreDisk[], signal: AbortSignal): Promise<void> {
  const { location } = (await context.vault(signal)).store;
  const inside = disks.find(({ url }) => url.startsWith(`${location.replace(/\/+$/, "")}/`));
  if (inside === undefined) return;
  const message = `${inside.url} is in the vault's own container: give another one.`;
  throw new FarsideError("refused", message, { details: { url: inside.url } });
}

/** Looked at also where it may be overwritten: that it cannot be reached at all, or not hold the disk, is told at once. */
async function refuseTaken(
  context: Context,
  disks: readonly RestoreDisk[],
  runId: RestoreRun["runId"],
  mayOverwrite: boolean,
  signal: AbortSignal,
): Promise<void> {
  for (const disk of disks) {
    if (!(await context.target.isTaken(disk, runId, signal)) || mayOverwrite) continue;
    const message = `The target ${disk.url} exists already: remove it, give another container, or say that it is to be overwritten (--overwrite).`;
    throw new FarsideError("target-exists", message, { details: { url: disk.url } });
  }
}

function runActive({ vm }: Pick<RestoreRun, "vm">, runId: RunId): FarsideError {
  const message = `The run ${runId} is active for VM ${quote(vm)}: wait for it, or cancel it.`;
  return new FarsideError("run-active", message, { details: { vm, runId } });
}
