/**
 * Restores disks in one go, from the vault alone: for targets at hand, without a service, rows or messages.
 *
 * 1. Every target is looked at before anything is written: `target-exists`.
 * 2. All disks or none: no disk gets its final name before the last byte of every disk has been checked and written.
 * 3. Whatever ends it, the unfinished work stays, and the same restore goes on where it stood. How far that is, is recorded every
 *    `recordEveryBytes`, and at the end that it comes to if it can.
 * 4. Lost bytes end it (`vault-corrupt`, naming disk and bytes), or become zeros and are listed where that is accepted. What is
 *    recorded ends before the first of them, so that a restore that goes on finds and lists all of them again.
 */
import { FarsideError, hasCode } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import type { ResumableTarget, TargetDisk } from "../../ports/disk-target.ts";
import { mapOrdered } from "../vault/map-ordered.ts";
import type { OpenVault } from "../vault/open-vault.ts";
import { readDisk } from "../vault/read-disk.ts";
import type { ChosenDisk } from "./choose-restore.ts";
import { addDamage, lostBytes, type DamagedRange } from "./damage.ts";

export interface RestoreDisksInput {
  readonly disks: readonly ChosenDisk[];
  /** Where each goes, as the target's `locate` gives it. */
  readonly urlOf: (disk: DiskName) => string;
  /** Of this restore of this disk alone: the target knows its own unfinished work by it. */
  readonly restoreId: (disk: ChosenDisk, url: string) => RunId;
  /** Fill lost bytes with zeros, and leave out disks of which nothing can be read. */
  readonly allowDamaged: boolean;
  /** Bytes of the disk gone through since the last call; those that an earlier try had written come first, in one. */
  readonly onProgress: (disk: DiskName, bytes: number) => void;
  /** Chunks read at once. */
  readonly parallelism?: number;
  readonly recordEveryBytes?: number;
}

export interface RestoredDisk {
  readonly name: DiskName;
  readonly sizeBytes: number;
  readonly url: string;
  /** Bytes that were not zeros, and so were written, by this try. */
  readonly writtenBytes: number;
  /** Bytes that an earlier try had written for good. */
  readonly resumedBytes: number;
  readonly damaged: readonly DamagedRange[];
}

export interface LostDisk {
  readonly name: DiskName;
  readonly error: FarsideError;
}

export interface RestoredDisks {
  readonly disks: readonly RestoredDisk[];
  /** Of these nothing can be read. */
  readonly lost: readonly LostDisk[];
}

/** A chunk is 1 MiB as a rule: enough to hide the way to the vault, little enough to hold. */
const defaultParallelism = 16;
/** Besides those being read; writing to a disk at hand takes less. */
const mostWritesAtOnce = 8;
/** What a killed restore may have to fetch again; each record waits for the disk, in the background. */
const defaultRecordEveryBytes = 32 * 1024 * 1024;

interface Placed {
  readonly chosen: ChosenDisk;
  readonly place: TargetDisk;
  readonly runId: RunId;
}

export async function restoreDisks(
  vault: OpenVault,
  target: ResumableTarget,
  input: RestoreDisksInput,
  signal: AbortSignal,
): Promise<RestoredDisks> {
  const disks = input.disks.map((chosen) => placed(chosen, input));
  try {
    const finished = await lookAtAll(target, disks, signal);
    const restored: RestoredDisk[] = [];
    const lost: LostDisk[] = [];
    for (const disk of disks) {
      if (finished.has(disk)) {
        input.onProgress(disk.place.name, disk.place.sizeBytes);
        const { name, sizeBytes, url } = disk.place;
        restored.push({ name, sizeBytes, url, writtenBytes: 0, resumedBytes: sizeBytes, damaged: [] });
        continue;
      }
      await target.prepare(disk.place, disk.runId, signal);
      try {
        restored.push(await restoreDisk(vault, target, input, disk, signal));
      } catch (error) {
        if (!input.allowDamaged || !hasCode(error, "vault-corrupt")) throw error;
        await target.discard(disk.place, disk.runId, signal);
        lost.push({ name: disk.place.name, error });
      }
    }
    const [first] = lost;
    if (restored.length === 0 && first !== undefined) throw first.error;
    const gone = new Set(lost.map((one) => one.name));
    const made = disks.filter((disk) => !gone.has(disk.place.name) && !finished.has(disk));
    for (const { place, runId } of made) await target.finish(place, runId, signal);
    return { disks: restored, lost };
  } finally {
    await target.leave();
  }
}

function placed(chosen: ChosenDisk, input: RestoreDisksInput): Placed {
  const { manifest, disk } = chosen;
  const url = input.urlOf(disk.name);
  const { vaultId, vmId, pointId } = manifest;
  const place = { name: disk.name, sizeBytes: disk.sizeBytes, url, origin: { vaultId, vmId, pointId } };
  return { chosen, place, runId: input.restoreId(chosen, url) };
}

/** Those that an earlier try has finished, before it was killed with others still to finish. */
async function lookAtAll(
  target: ResumableTarget,
  disks: readonly Placed[],
  signal: AbortSignal,
): Promise<ReadonlySet<Placed>> {
  const finished = new Set<Placed>();
  for (const disk of disks) {
    const standing = await target.standing(disk.place, disk.runId, signal);
    if (standing.kind === "taken") throw standing.error;
    if (standing.kind === "finished") finished.add(disk);
  }
  const [first] = disks;
  if (first === undefined || finished.size < disks.length) return finished;
  const { url, name } = first.place;
  throw new FarsideError(
    "target-exists",
    `${url} was restored before, by this very restore: remove it to restore it again.`,
    {
      details: { disk: name, url },
    },
  );
}

async function restoreDisk(
  vault: OpenVault,
  target: ResumableTarget,
  input: RestoreDisksInput,
  { chosen, place, runId }: Placed,
  signal: AbortSignal,
): Promise<RestoredDisk> {
  const { name, sizeBytes, url } = place;
  const { parallelism = defaultParallelism, recordEveryBytes = defaultRecordEveryBytes } = input;
  const resumedBytes = await target.reached(place, runId, signal);
  if (resumedBytes > 0) input.onProgress(name, resumedBytes);
  const writesAtOnce = Math.min(parallelism, mostWritesAtOnce);
  const pieces = readDisk(vault, chosen.disk, { fromByte: resumedBytes, parallelism, damaged: "zero" }, signal);
  const write = async (piece: Piece, aborted: AbortSignal): Promise<Piece> => {
    if (piece.kind === "data") await target.write(place, runId, piece.offset, piece.content, aborted);
    return piece;
  };
  const damaged: DamagedRange[] = [];
  let writtenBytes = 0;
  let reached = resumedBytes;
  let recorded = resumedBytes;
  let recording: Promise<void> = Promise.resolve();
  let isRecording = false;
  const record = (toByte: number): void => {
    isRecording = true;
    recorded = toByte;
    recording = target.record(place, runId, toByte, signal).finally(() => (isRecording = false));
    // Thrown where it is waited for.
    recording.catch(() => undefined);
  };
  try {
    for await (const piece of mapOrdered(pieces, writesAtOnce, write, signal)) {
      if (piece.kind === "zero" && piece.damage !== undefined) {
        if (!input.allowDamaged) throw lostBytes(piece.damage, chosen, piece);
        addDamage(damaged, piece, piece.damage);
      }
      if (piece.kind === "data") writtenBytes += piece.length;
      const toByte = piece.offset + piece.length;
      if (damaged.length === 0) reached = toByte;
      if (!isRecording && reached < sizeBytes && reached - recorded >= recordEveryBytes) {
        await recording;
        record(reached);
      }
      input.onProgress(name, piece.length);
    }
    await recording;
    signal.throwIfAborted();
    // All of the disk is there to stay before the first one gets its name: what can still fail has failed by now.
    if (reached > recorded) await target.record(place, runId, reached, signal);
    recorded = reached;
  } catch (error) {
    await recording.catch(() => undefined);
    // Also after Ctrl-C: a signal of its own, which nobody aborts. Where it cannot be, the last record stands.
    const { signal: ending } = new AbortController();
    if (reached > recorded && !hasCode(error, "target-exists")) {
      await target.record(place, runId, reached, ending).catch(() => undefined);
    }
    // Of a chunk or a segment it says which bytes already. The index is lost for all of them.
    if (hasCode(error, "vault-corrupt") && !("fromByte" in error.details)) {
      throw lostBytes(error, chosen, { offset: 0, length: sizeBytes });
    }
    throw error;
  }
  return { name, sizeBytes, url, writtenBytes, resumedBytes, damaged };
}

type Piece = ReturnType<typeof readDisk> extends AsyncIterable<infer P> ? P : never;
