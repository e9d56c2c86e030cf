import type { BackupIn } from "../../core/run-transitions.ts";
import { consistencyOf } from "../../core/downtime.ts";
import { segmentCount } from "../../core/vault/disk-geometry.ts";
import type { Manifest, ManifestBody, ManifestConsistency, ManifestDisk, ObjectId } from "../../core/vault/manifest.ts";
import { zeroObjectId } from "../../core/vault/object-id.ts";
import type { Context } from "../context.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readDiskIndex } from "../vault/read-disk.ts";
import { serviceTime } from "../vault/work-blobs.ts";
import { writeDiskIndex } from "../vault/write-index.ts";
import { commitManifest } from "../vault/write-manifest.ts";
import { notKept } from "./keep-guest-state.ts";
import { collectDisks, type CollectedDisk } from "./collect-disks.ts";

/**
 * Writes the disk indexes and the manifest of a run whose windows are all in. Gives the manifest that stands; undefined where the run
 * was given up meanwhile: looked at last, so that as few as possible come true after all.
 */
export async function writeRestorePoint(
  context: Context,
  vault: OpenVault,
  run: BackupIn<"committing">,
  signal: AbortSignal,
): Promise<Manifest | undefined> {
  const { set } = run;
  const disks: ManifestDisk[] = [];
  const notes: string[] = [];
  for (const disk of await collectDisks(vault, run, signal)) {
    disks.push(manifestDisk(disk, await indexOf(vault, run, disk, signal)));
    if (disk.plan.guestState?.kind === "not-kept") notes.push(notKept(disk.plan.guestState.why));
  }
  const body: ManifestBody = {
    formatVersion: 1,
    vaultId: vault.descriptor.vaultId,
    vmId: run.vmId,
    vmName: run.vm,
    pointId: set.pointId,
    runId: run.runId,
    attemptId: set.attemptId,
    ...(set.parentPointId === undefined ? {} : { parentPointId: set.parentPointId }),
    sessionStartedAt: set.sessionStartedAt,
    snapshotAt: set.snapshotAt,
    committedAt: await serviceTime(vault, set.attemptId, signal),
    trigger: run.trigger.kind,
    policy: run.policy,
    consistency: withNotes(consistencyOf(set), notes),
    safety: set.safety,
    source: { kind: set.source },
    configuration: set.configuration,
    disks,
    tool: context.tool,
  };
  if ((await context.catalog.runs.get(run.runId, signal))?.value.state !== "committing") return undefined;
  return (await commitManifest(vault, body, {}, signal)).manifest;
}

/** The id of the disk's index: the parent's where nothing has changed, without a request for it. */
async function indexOf(
  vault: OpenVault,
  run: BackupIn<"committing">,
  disk: CollectedDisk,
  signal: AbortSignal,
): Promise<ObjectId> {
  const { plan, segments } = disk;
  const { chunkSizeBytes } = vault.descriptor;
  if (plan.parent !== undefined && segments.size === 0 && plan.parent.sizeBytes === plan.sizeBytes)
    return plan.parent.index;
  const before = plan.parent === undefined ? [] : (await readDiskIndex(vault, plan.parent, signal)).segments;
  const all = Array.from(
    { length: segmentCount(plan.sizeBytes, chunkSizeBytes) },
    (_, segment) => segments.get(segment) ?? before[segment] ?? zeroObjectId,
  );
  const index = { sizeBytes: plan.sizeBytes, chunkSizeBytes, segments: all };
  return (await writeDiskIndex(vault, index, { startedAt: run.set.sessionStartedAt }, signal)).id;
}

function withNotes(consistency: ManifestConsistency, notes: readonly string[]): ManifestConsistency {
  if (notes.length === 0) return consistency;
  const { note } = consistency;
  return { ...consistency, note: [...(note === undefined ? [] : [note]), ...notes].join(" ") };
}

function manifestDisk({ snapshot, progress, plan }: CollectedDisk, index: ObjectId): ManifestDisk {
  const { guestState } = plan;
  return {
    name: snapshot.disk,
    ...(snapshot.lun === undefined ? {} : { lun: snapshot.lun }),
    role: snapshot.role,
    sizeBytes: snapshot.sizeBytes,
    logicalSectorSize: snapshot.logicalSectorSize,
    identity: snapshot.identity,
    index,
    snapshotAt: snapshot.snapshotAt,
    snapshot: snapshot.reference,
    ...(guestState?.kind === "kept"
      ? { guestState: { index: guestState.index, sizeBytes: guestState.sizeBytes } }
      : {}),
    mode: progress.mode,
    changedBytes: progress.changedBytes,
    newChunks: progress.newChunks,
    storedBytes: progress.storedBytes,
  };
}
