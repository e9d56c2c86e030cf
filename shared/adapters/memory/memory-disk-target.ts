/** Restore targets in memory, for tests and the simulation. */
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import type { ResumableTarget, TargetDisk, TargetStanding } from "../../ports/disk-target.ts";
import { emptyImage, type SparseImage, written } from "./sparse-image.ts";

interface Target {
  readonly runId: RunId | undefined;
  image: SparseImage;
  finished: boolean;
  reached: number;
}

export class MemoryDiskTarget implements ResumableTarget {
  readonly #targets = new Map<string, Target>();

  /** Puts somebody else's disk there. */
  occupy(url: string, sizeBytes: number): void {
    this.#targets.set(url, { runId: undefined, image: emptyImage(sizeBytes), finished: true, reached: sizeBytes });
  }

  /** The content of a finished disk. */
  finished(url: string): SparseImage | undefined {
    const target = this.#targets.get(url);
    return target?.finished === true ? target.image : undefined;
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

  async finish(disk: TargetDisk, runId: RunId, signal: AbortSignal): Promise<void> {
    await turn(signal);
    const target = this.#open(disk);
    if (target.runId !== runId) throw new FarsideError("target-exists", `The target ${disk.url} is another run's.`);
    target.finished = true;
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
    if (target?.runId === runId && !target.finished) this.#targets.delete(disk.url);
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

async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
}
