import { FarsideError, hasCode } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { Manifest, ManifestDisk } from "../../core/vault/manifest.ts";
import type { DiskTarget, TargetDisk } from "../../ports/disk-target.ts";
import type { ChosenDisk } from "../restore/choose-restore.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readDisk } from "../vault/read-disk.ts";

export interface RestoreDisksInput {
  readonly disks: readonly ChosenDisk[];
  /** Where each goes, as the target's `locate` gives it. */
  readonly urlOf: (disk: DiskName) => string;
  /** Of this restore alone: the target knows its own unfinished work by it. */
  readonly runId: RunId;
  /** Bytes of the disk gone through since the last call. */
  readonly onProgress: (disk: DiskName, bytes: number) => void;
}

export interface RestoredDisk {
  readonly name: DiskName;
  readonly sizeBytes: number;
  readonly url: string;
  /** Bytes that were not zeros, and so were written. */
  readonly writtenBytes: number;
}

/**
 * Restores disks in one go, from the vault alone: for targets at hand, without a service, rows or messages.
 *
 * 1. Every target is looked at before anything is written: `target-exists`.
 * 2. All disks or none: no disk gets its final name before the last byte of every disk has been checked and written. What
 *    cannot be read throws `vault-corrupt`, naming disk and bytes, and this restore's work is removed.
 */
export async function restoreDisks(
  vault: OpenVault,
  target: DiskTarget,
  input: RestoreDisksInput,
  signal: AbortSignal,
): Promise<readonly RestoredDisk[]> {
  const { runId } = input;
  const disks = input.disks.map(({ manifest, disk }) => ({
    manifest,
    disk,
    place: { name: disk.name, sizeBytes: disk.sizeBytes, url: input.urlOf(disk.name) },
  }));
  for (const { place } of disks) await refuseTaken(target, place, runId, signal);
  const begun: TargetDisk[] = [];
  const restored: RestoredDisk[] = [];
  try {
    for (const { manifest, disk, place } of disks) {
      begun.push(place);
      await target.prepare(place, runId, signal);
      const writtenBytes = await restoreDisk(vault, target, input, { manifest, disk }, place, signal);
      restored.push({ name: disk.name, sizeBytes: disk.sizeBytes, url: place.url, writtenBytes });
    }
    for (const { place } of disks) await target.finish(place, runId, signal);
    return restored;
  } catch (error) {
    // Also after Ctrl-C: removing has a signal of its own that nobody aborts.
    const cleaning = new AbortController().signal;
    for (const place of begun) await target.discard(place, runId, cleaning).catch(() => undefined);
    throw error;
  }
}

async function refuseTaken(target: DiskTarget, place: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
  if (!(await target.isTaken(place, runId, signal))) return;
  throw new FarsideError(
    "target-exists",
    `${place.url} exists already, and nothing is overwritten: restore to another place, or move it away.`,
    { details: { disk: place.name, target: place.url } },
  );
}

async function restoreDisk(
  vault: OpenVault,
  target: DiskTarget,
  input: RestoreDisksInput,
  { manifest, disk }: ChosenDisk,
  place: TargetDisk,
  signal: AbortSignal,
): Promise<number> {
  let reached = 0;
  let writtenBytes = 0;
  try {
    for await (const piece of readDisk(vault, disk, {}, signal)) {
      if (piece.kind === "data") {
        await target.write(place, input.runId, piece.offset, piece.content, signal);
        writtenBytes += piece.length;
      }
      reached = piece.offset + piece.length;
      input.onProgress(disk.name, piece.length);
    }
  } catch (error) {
    throw hasCode(error, "vault-corrupt") ? atBytes(error, vault, manifest, disk, reached) : error;
  }
  return writtenBytes;
}

/** The pieces come in order: the one that failed begins where the last good one ended. */
function atBytes(
  error: FarsideError,
  vault: OpenVault,
  manifest: Manifest,
  disk: ManifestDisk,
  fromByte: number,
): FarsideError {
  const { object } = error.details as { readonly object?: unknown };
  const isChunk = typeof object === "string" && object.startsWith("chunks/");
  const { chunkSizeBytes, segmentChunks } = vault.descriptor;
  const step = isChunk ? chunkSizeBytes : chunkSizeBytes * segmentChunks;
  const toByte = Math.min(disk.sizeBytes, (Math.floor(fromByte / step) + 1) * step);
  return new FarsideError(
    "vault-corrupt",
    `The disk ${quote(disk.name)} of restore point ${manifest.pointId} cannot be restored: bytes ${fromByte} to ${toByte - 1} are lost. ${error.message} Nothing was left behind; other disks can be restored with --disk, and "farside verify" tells all that is damaged.`,
    { cause: error, details: { ...error.details, disk: disk.name, pointId: manifest.pointId, fromByte, toByte } },
  );
}
