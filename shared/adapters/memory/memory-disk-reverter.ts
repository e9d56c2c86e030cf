/** Writes into the disks of a `MemoryDiskSource`, for tests and the simulation. */
import { FarsideError } from "../../core/errors.ts";
import type { RunId } from "../../core/ids.ts";
import type { SafetySnapshot } from "../../core/run.ts";
import type { DiskReverter, HeldDisk } from "../../ports/disk-reverter.ts";
import type { MemoryDiskSource } from "./memory-disk-source.ts";

interface Kept extends SafetySnapshot {
  readonly url: string;
  readonly runId: RunId;
}

export class MemoryDiskReverter implements DiskReverter {
  /** Who holds a disk, by its URL: a run, or a machine that runs on it. */
  readonly holders = new Map<string, RunId | "machine">();
  readonly #source: MemoryDiskSource;
  #kept: readonly Kept[] = [];

  constructor(source: MemoryDiskSource) {
    this.#source = source;
  }

  /** What is kept now, of whatever run. */
  kept(): readonly Pick<Kept, "snapshot" | "runId">[] {
    return this.#kept;
  }

  async isInUse(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<boolean> {
    await turn(signal);
    const holder = this.holders.get(disk.url);
    return holder !== undefined && holder !== runId;
  }

  async hold(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    this.#source.image(disk.url);
    const holder = this.holders.get(disk.url);
    if (holder !== undefined && holder !== runId)
      throw new FarsideError("refused", `${disk.url} is held by ${holder}.`);
    this.holders.set(disk.url, runId);
  }

  async keep(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<SafetySnapshot> {
    await turn(signal);
    const before = this.#kept.find((one) => one.url === disk.url && one.runId === runId);
    if (before !== undefined) return snapshotOf(before);
    const reference = this.#source.keep(disk.url);
    const snapshot = `${disk.url}?snapshot=${reference["snapshot"]}`;
    const kept = { disk: disk.name, snapshot, reference, wayBack: `put back ${snapshot}`, url: disk.url, runId };
    this.#kept = [...this.#kept, kept];
    return snapshotOf(kept);
  }

  async dropKept(disk: HeldDisk, runId: RunId, spared: SafetySnapshot | undefined, signal: AbortSignal): Promise<void> {
    await turn(signal);
    const isDoomed = (one: Kept): boolean =>
      one.url === disk.url && one.runId === runId && one.snapshot !== spared?.snapshot;
    this.#kept = this.#kept.filter((one) => !isDoomed(one));
  }

  async write(disk: HeldDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void> {
    if (offset % 512 !== 0 || offset + content.length > disk.sizeBytes) {
      throw new RangeError(`A write of ${content.length} bytes at ${offset} does not fit a disk of ${disk.sizeBytes}.`);
    }
    await turn(signal);
    this.#own(disk, runId);
    this.#source.write(disk.url, offset, content);
  }

  async clear(disk: HeldDisk, runId: RunId, offset: number, length: number, signal: AbortSignal): Promise<void> {
    return this.write(disk, runId, offset, new Uint8Array(length), signal);
  }

  async letGo(disk: HeldDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    if (this.holders.get(disk.url) === runId) this.holders.delete(disk.url);
  }

  #own(disk: HeldDisk, runId: RunId): void {
    if (this.holders.get(disk.url) === runId) return;
    throw new FarsideError("refused", `${disk.url} is not held by run ${runId}: nothing was written.`);
  }
}

function snapshotOf({ disk, snapshot, reference, wayBack }: Kept): SafetySnapshot {
  return { disk, snapshot, reference, wayBack };
}

async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
}
