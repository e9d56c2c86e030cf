/**
 * What must be true of a world at rest. Gives every breach it finds, in words; none is the empty list. The numbers are those of
 * docs/architecture.md.
 */
import {
  emptyImage,
  firstDifference,
  type SparseImage,
  written,
} from "../../../shared/adapters/memory/sparse-image.ts";
import type { PointId, VmId } from "../../../shared/core/ids.ts";
import type { RestoreDisk, RestoreRun } from "../../../shared/core/run.ts";
import { isMachineTarget } from "../../../shared/core/run.ts";
import { isActive } from "../../../shared/core/run-transitions.ts";
import type { Manifest, ManifestDisk } from "../../../shared/core/vault/manifest.ts";
import { listAll } from "../../../shared/operations/list-all.ts";
import { listVms, readManifest, readRestorePoints } from "../../../shared/operations/vault/list-restore-points.ts";
import { readDisk } from "../../../shared/operations/vault/read-disk.ts";
import type { World } from "./world.ts";

export async function breaches(world: World): Promise<readonly string[]> {
  const found: string[] = [];
  const newest = new Map<VmId, Manifest>();
  const standing = new Set<string>();
  for (const vmId of await listVms(world.vault, world.signal)) {
    for await (const point of readRestorePoints(world.vault, vmId, world.signal)) {
      if (point.kind !== "standing") found.push(`I1: the manifest of ${point.pointId} is ${point.kind}`);
      else {
        if (!point.sealed) found.push(`W5: ${point.pointId} is not sealed`);
        newest.set(vmId, point.manifest);
        standing.add(`${vmId}/${point.pointId}`);
        found.push(...(await pointBreaches(world, point.manifest)));
      }
    }
  }
  found.push(...(await rowBreaches(world, standing)));
  found.push(...(await runBreaches(world, standing)));
  found.push(...leftovers(world, newest));
  found.push(...(await revertLeftovers(world)));
  found.push(...world.machines.unwell().map((what) => `Platform: ${what}`));
  return found;
}

/** I1, I2, I3: what is restored is what the snapshots held, and all of one attempt. */
async function pointBreaches(world: World, manifest: Manifest): Promise<readonly string[]> {
  const found: string[] = [];
  const names = new Set(manifest.disks.map(({ name }) => name));
  for (const name of world.source.disksOf(manifest.attemptId)) {
    if (!names.has(name))
      found.push(`I2: ${manifest.pointId} lacks the disk ${name}, of which its attempt made a snapshot`);
  }
  for (const disk of manifest.disks) {
    const snapshot = world.source.everMade(disk.snapshot);
    const name = `${manifest.pointId}/${disk.name}`;
    if (snapshot === undefined) found.push(`I1: the snapshot of ${name} was never made`);
    else {
      if (snapshot.attemptId !== manifest.attemptId) {
        found.push(`I2: ${name} is of attempt ${snapshot.attemptId}, its manifest of ${manifest.attemptId}`);
      }
      try {
        const difference = firstDifference(snapshot, await restoredImage(world, disk));
        if (difference !== undefined) found.push(`I1: ${name} differs at byte ${difference}`);
      } catch (error) {
        found.push(`I3: ${name} cannot be read: ${String(error)}`);
      }
    }
  }
  return found;
}

export async function restoredImage(world: World, disk: ManifestDisk): Promise<SparseImage> {
  let image = emptyImage(disk.sizeBytes);
  for await (const piece of readDisk(world.vault, disk, {}, world.signal)) {
    if (piece.kind === "data") image = written(image, piece.offset, piece.content);
  }
  return image;
}

/** The catalog shows what stands, and nothing else. */
async function rowBreaches(world: World, standing: ReadonlySet<string>): Promise<readonly string[]> {
  const found: string[] = [];
  const rows = new Set<string>();
  for await (const { value } of listAll(world.catalog.restorePoints, {}, world.signal))
    rows.add(`${value.vmId}/${value.pointId}`);
  for (const point of standing) if (!rows.has(point)) found.push(`Rows: ${point} stands and has no row`);
  for (const row of rows) if (!standing.has(row)) found.push(`Rows: ${row} has a row and does not stand`);
  return found;
}

/** I7: every run has ended, truthfully, and no guest is frozen. */
async function runBreaches(world: World, standing: ReadonlySet<string>): Promise<readonly string[]> {
  const found: string[] = [];
  const points = new Set<PointId>();
  for (const run of await world.runs()) {
    if (isActive(run)) found.push(`I7: run ${run.runId} is still ${run.state}`);
    else if (run.cleanUp !== "done") found.push(`I9: run ${run.runId} is not cleaned up`);
    if (run.kind === "restore") {
      if (run.state === "succeeded") found.push(...(await restoreBreaches(world, run)));
      else found.push(...wholeLooking(world, run), ...machineLeftovers(world, run));
    }
    if (run.kind === "backup" && run.state === "succeeded") {
      points.add(run.restorePointId);
      if (!standing.has(`${run.vmId}/${run.restorePointId}`)) {
        found.push(`I7: run ${run.runId} succeeded without a restore point`);
      }
    }
  }
  for (const point of standing) {
    if (!points.has(point.slice(point.indexOf("/") + 1) as PointId))
      found.push(`I7: ${point} stands, and no run succeeded with it`);
  }
  for (const [url, guest] of world.guests) if (guest.isFrozen) found.push(`I7: the guest ${url} is frozen`);
  return found;
}

/** I1: a restored disk holds what the snapshot held. */
async function restoreBreaches(world: World, run: RestoreRun): Promise<readonly string[]> {
  const found: string[] = [];
  for (const disk of run.target.kind === "revert" ? [] : run.disks) {
    found.push(...(await diskBreaches(world, run, disk)));
  }
  return found;
}

/** I9: of a restore to the platform that did not succeed, nothing is there, and no VM has a disk of it. */
function machineLeftovers(world: World, run: RestoreRun): readonly string[] {
  return world.machines.traces(run.runId).map((id) => `I9: ${id} is left of run ${run.runId}, which ${run.state}`);
}

async function diskBreaches(world: World, run: RestoreRun, disk: RestoreDisk): Promise<readonly string[]> {
  const pointId = disk.pointId ?? run.pointId;
  const point = await readManifest(world.vault, run.vmId, pointId, world.signal);
  if (point.kind !== "standing") return [`I1: ${pointId}, which was restored, is ${point.kind}`];
  const source = point.manifest.disks.find(({ name }) => name === disk.name);
  const held = source && world.source.everMade(source.snapshot);
  if (isMachineTarget(run.target)) return differs(disk, held, world.machines.finished(disk.url));
  // Somebody has put another disk there since.
  if (world.target.finished(disk.url) !== undefined && world.target.finishedBy(disk.url) !== run.runId) return [];
  return differs(disk, held, world.target.finished(disk.url));
}

function differs(
  disk: RestoreDisk,
  held: SparseImage | undefined,
  restored: SparseImage | undefined,
): readonly string[] {
  if (held === undefined || restored === undefined) return [`I1: ${disk.url} is no finished disk`];
  const difference = firstDifference(held, restored);
  return difference === undefined ? [] : [`I1: ${disk.url} differs at byte ${difference}`];
}

/** A restore that did not succeed leaves nothing that could be taken for its disk. */
function wholeLooking(world: World, run: RestoreRun): readonly string[] {
  return run.disks
    .filter(({ url }) => world.target.finishedBy(url) === run.runId)
    .map(({ url }) => `I7: run ${run.runId} ${run.state}, and its disk ${url} looks whole`);
}

/** I9: no disk is held, and of safety snapshots only those are there that a run's row names for a person. */
async function revertLeftovers(world: World): Promise<readonly string[]> {
  const named = (await world.runs()).flatMap((run) => (run.kind === "restore" ? (run.safety ?? []) : []));
  const names = new Set(named.map(({ snapshot }) => snapshot));
  const kept = new Set(world.reverter.kept().map(({ snapshot }) => snapshot));
  return [
    ...[...kept].filter((snapshot) => !names.has(snapshot)).map((snapshot) => `I9: ${snapshot} is left`),
    ...[...names].filter((snapshot) => !kept.has(snapshot)).map((snapshot) => `Safety: ${snapshot} is gone`),
    ...[...world.reverter.holders].flatMap(([url, by]) => (by === "machine" ? [] : [`I9: ${by} holds ${url}`])),
  ];
}

/** I9: nothing is left over but the snapshots that the next backups build on. */
function leftovers(world: World, newest: ReadonlyMap<VmId, Manifest>): readonly string[] {
  const found: string[] = [];
  const bases = new Set([...newest.values()].map(({ attemptId }) => attemptId));
  for (const attemptId of world.source.attempts()) {
    if (!bases.has(attemptId)) found.push(`I9: a snapshot of attempt ${attemptId} is left`);
  }
  for (const name of world.store.names()) if (name.startsWith("work/")) found.push(`I9: ${name} is left`);
  for (const url of world.target.unfinished()) found.push(`I9: the unfinished target ${url} is left`);
  for (const url of world.target.keeping()) found.push(`I9: what stood at ${url} is still kept`);
  for (const { task } of world.queue.pending()) found.push(`I9: a message ${task.kind} is left`);
  return found;
}
