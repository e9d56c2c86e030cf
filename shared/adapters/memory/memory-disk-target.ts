/** Restore targets in memory, for tests and the simulation. */
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import type { ResumableTarget, TargetDisk, TargetStanding } from "../../ports/disk-target.ts";
import type { RunTarget } from "../../ports/run-target.ts";
import { emptyImage, type SparseImage, written } from "./sparse-image.ts";

interface Target {
  readonly runId: RunId | undefined;
  image: SparseImage;
  finished: boolean;
  reached: number;
  /** What stood here before `replace`. */
  kept?: Target;
}

export class MemoryDiskTarget implements RunTarget, ResumableTarget {
  readonly #targets = new Map<string, Target>();

  /** URLs of disks that somebody uses. */
  readonly inUse = new Set<string>();

  /** Puts somebody else's disk there. */
  occupy(url: string, sizeBytes: number, content: Uint8Array = new Uint8Array()): void {
    const image = written(emptyImage(sizeBytes), 0, content);
    this.#targets.set(url, { runId: undefined, image, finished: true, reached: sizeBytes });
  }

  /** Somebody removes what stands there. */
  remove(url: string): void {
    this.#targets.delete(url);
  }

  /** URLs where something is kept that stood there before. */
  keeping(): readonly string[] {
    return [...this.#targets].filter(([, target]) => target.kept !== undefined).map(([url]) => url);
  }

  /** The content of a finished disk. */
  finished(url: string): SparseImage | undefined {
    const target = this.#targets.get(url);
    return target?.finished === true ? target.image : undefined;
  }

  /** The run whose finished disk stands there. */
  finishedBy(url: string): RunId | undefined {
    const target = this.#targets.get(url);
    return target?.finished === true ? target.runId : undefined;
  }

  /** URLs of targets that somebody began and did not finish. */
  unfinished(): readonly string[] {
    return [...this.#targets].filter(([, target]) => !target.finished).map(([url]) => url);
  }

  locate(containerUrl: string, disk: DiskName): string {
    if (!containerUrl.startsWith("https://target.example/")) {
      throw new FarsideError("bad-input", `The container ${containerUrl} belongs to no account of this app.`);
    }
    return `${containerUrl.replace(/\/$/, "")}/${disk}.vhd`;
  }

  async isTaken(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<boolean> {
    await turn(signal);
    return this.#isTaken(disk, runId);
  }

  async prepare(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    // From here on in one turn: of many that prepare at once exactly one begins.
    if (this.#isTaken(disk, runId)) {
      throw new FarsideError("target-exists", `The target ${disk.url} exists already.`, { details: { url: disk.url } });
    }
    if (this.#targets.has(disk.url)) return;
    this.#targets.set(disk.url, { runId, image: emptyImage(disk.sizeBytes), finished: false, reached: 0 });
  }

  async write(disk: TargetDisk, runId: RunId, offset: number, content: Uint8Array, signal: AbortSignal): Promise<void> {
    if (offset % 512 !== 0 || offset + content.length > disk.sizeBytes) {
      throw new RangeError(`A write of ${content.length} bytes at ${offset} does not fit a disk of ${disk.sizeBytes}.`);
    }
    await turn(signal);
    const target = this.#open(disk);
    if (target.runId !== runId || target.finished) {
      throw new FarsideError("target-exists", `The target ${disk.url} is not this run's unfinished work.`);
    }
    target.image = written(target.image, offset, content);
  }

  async replace(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<string | undefined> {
    await turn(signal);
    const kept = this.#targets.get(disk.url);
    if (kept?.runId === runId && !kept.finished) return kept.kept && keptAt(disk);
    if (kept !== undefined && (!kept.finished || kept.runId === runId))
      throw new FarsideError("target-exists", `${disk.url} is another run's.`);
    if (this.inUse.has(disk.url)) throw new FarsideError("refused", `${disk.url} is in use.`);
    const begun = { runId, image: emptyImage(disk.sizeBytes), finished: false, reached: 0 };
    this.#targets.set(disk.url, kept === undefined ? begun : { ...begun, kept });
    return kept && keptAt(disk);
  }

  async check(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    this.#own(disk, runId);
  }

  async finish(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    this.#own(disk, runId).finished = true;
  }

  async takeBack(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    const target = this.#targets.get(disk.url);
    if (target?.runId !== runId) return;
    if (target.finished && this.inUse.has(disk.url)) throw new FarsideError("in-use", `${disk.url} is in use.`);
    this.#drop(disk, target);
  }

  async release(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    const target = this.#targets.get(disk.url);
    if (target?.runId === runId) delete target.kept;
  }

  async standing(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<TargetStanding> {
    await turn(signal);
    const target = this.#targets.get(disk.url);
    if (target === undefined) return { kind: "free" };
    if (target.runId === runId) return { kind: target.finished ? "finished" : "unfinished" };
    const error = new FarsideError("target-exists", `The target ${disk.url} exists already.`, {
      details: { disk: disk.name, url: disk.url },
    });
    return { kind: "taken", error };
  }

  async reached(disk: TargetDisk, _runId: RunId, signal: AbortSignal): Promise<number> {
    await turn(signal);
    return this.#open(disk).reached;
  }

  async record(disk: TargetDisk, runId: RunId, toByte: number, signal: AbortSignal): Promise<void> {
    await turn(signal);
    const target = this.#open(disk);
    if (target.runId === runId && !target.finished) target.reached = Math.max(target.reached, toByte);
  }

  async leave(): Promise<void> {
    // Holds nothing.
  }

  async discard(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    const target = this.#targets.get(disk.url);
    if (target?.runId === runId && !target.finished) this.#drop(disk, target);
  }

  #drop(disk: TargetDisk, { kept }: Target): void {
    if (kept === undefined) this.#targets.delete(disk.url);
    else this.#targets.set(disk.url, kept);
  }

  #own(disk: TargetDisk, runId: RunId): Target {
    const target = this.#open(disk);
    if (target.runId === runId) return target;
    throw new FarsideError("target-exists", `The target ${disk.url} is another run's.`);
  }

  #isTaken(disk: TargetDisk, runId: RunId): boolean {
    const target = this.#targets.get(disk.url);
    return target !== undefined && (target.finished || target.runId !== runId);
  }

  #open(disk: TargetDisk): Target {
    const target = this.#targets.get(disk.url);
    if (target === undefined) throw new FarsideError("not-found", `There is no target ${disk.url}.`);
    return target;
  }
}

const keptAt = (disk: TargetDisk): string => `${disk.url}?snapshot=before`;

async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
}
