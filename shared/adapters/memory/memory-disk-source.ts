/**
 * Disks in memory, for tests and the simulation: sparse pages, snapshots, and a changed-page list that is exact, or is the whole list
 * as an emulator gives it, or leaves changes out while every probe finds it exact.
 */
import type { Achieved } from "../../core/achieved-consistency.ts";
import { FarsideError } from "../../core/errors.ts";
import type { AttemptId, DiskName, RunId, VmId } from "../../core/ids.ts";
import type { TransientCondition } from "../../core/preflight.ts";
import type { DiskSnapshot } from "../../core/run.ts";
import { timestamp } from "../../core/timestamp.ts";
import type { VmResourceId } from "../../core/resource-id.ts";
import type { PageBlobDisk, ProtectedVm, VmSource } from "../../core/vm.ts";
import type {
  ByteRange,
  ChangedRange,
  DiskSource,
  OwnSnapshot,
  SnapshotAttempt,
  SnapshotOutcome,
  SourceDisk,
  VmInspection,
} from "../../ports/disk-source.ts";
import type { PowerPhase } from "../../ports/machine-power.ts";
import type { MemoryPower } from "./memory-power.ts";
import { cleared, emptyImage, pageBytes, readImage, resized, type SparseImage, written } from "./sparse-image.ts";

interface Disk extends SparseImage {
  readonly identity: string;
}

interface Snapshot extends Disk {
  readonly url: string;
  readonly name: DiskName;
  readonly vmId: VmId;
  readonly runId: RunId;
  readonly attemptId: AttemptId;
  /** What the machine was doing then; only where the source can stop it. */
  readonly phase?: PowerPhase;
}

export type DiffBehaviour =
  | { readonly kind: "exact" }
  /** All allocated pages, whatever changed, and never a cleared one. */
  | { readonly kind: "everything" }
  /** Exact when probed; else without the changes of which `leavesOut` is true. */
  | { readonly kind: "lies"; readonly leavesOut: (offset: number) => boolean };

type Reference = Readonly<Record<string, string>>;
type Window = { readonly fromByte: number; readonly toByte: number };

export class MemoryDiskSource implements DiskSource {
  diff: DiffBehaviour = { kind: "exact" };
  conditions: readonly TransientCondition[] = [];
  /** Where the VM's settings do not say. */
  powerState: VmInspection["powerState"] = "running";
  /** Called before the snapshot of each disk; what it throws makes that snapshot fail. */
  beforeSnapshot: (disk: DiskName) => void | Promise<void> = () => undefined;
  /** Brings its disks to rest by itself, and achieves this much. */
  quiesces = false;
  achieves: Achieved = { level: "filesystem" };
  /** Where it is set: the machines of this source can be stopped. */
  power: MemoryPower | undefined;
  /** The instant of snapshots that are waited for is fixed, so that the machine may go on: as of Ultra disks. */
  isFixed = false;
  /** How often an attempt has to look again before its snapshots are there. */
  waits = 0;
  /** The disks that a VM of the platform has now. */
  disksOfMachine: (resourceId: string) => readonly PageBlobDisk[] = () => [];
  /** Snapshots of one set lie this far apart, by the source's clock. */
  skewMs = 0;
  readonly #now: () => number;
  readonly #disks = new Map<string, Disk>();
  readonly #snapshots = new Map<string, Snapshot>();
  readonly #everMade = new Map<string, Snapshot>();
  /** The disks of VMs of a platform, whose rows do not name them; by resource id. */
  readonly #managed = new Map<string, readonly PageBlobDisk[]>();
  /** Those of nobody's attempt. */
  readonly #kept = new Map<string, SparseImage>();
  readonly #begun = new Map<string, { left: number; readonly snapshots: readonly DiskSnapshot[] }>();
  /** What an attempt made of a machine that it had stopped, so that asking twice is asking once. */
  readonly #halted = new Map<AttemptId, readonly DiskSnapshot[]>();
  #made = 0;

  /** `now`: the source's clock, in milliseconds since 1970-01-01 UTC. */
  constructor(now: () => number) {
    this.#now = now;
  }

  /** A new, empty disk; one of this URL is replaced by a disk of another identity. */
  addDisk(url: string, sizeBytes: number): void {
    this.#disks.set(url, { identity: `disk-${++this.#made}`, ...emptyImage(sizeBytes) });
  }

  hasDisk(url: string): boolean {
    return this.#disks.has(url);
  }

  addVm(resourceId: VmResourceId, disks: readonly PageBlobDisk[]): void {
    this.#managed.set(resourceId.toLowerCase(), disks);
  }

  /** A disk that a platform has made of this. */
  putDisk(url: string, image: SparseImage): void {
    this.#disks.set(url, { identity: `disk-${++this.#made}`, sizeBytes: image.sizeBytes, pages: image.pages });
  }

  removeDisk(url: string): void {
    this.#disks.delete(url);
    for (const [id, snapshot] of this.#snapshots) if (snapshot.url === url) this.#snapshots.delete(id);
  }

  resizeDisk(url: string, sizeBytes: number): void {
    const disk = this.#disk(url);
    this.#disks.set(url, { ...disk, ...resized(disk, sizeBytes) });
  }

  write(url: string, offset: number, content: Uint8Array): void {
    const disk = this.#disk(url);
    this.#disks.set(url, { ...disk, ...written(disk, offset, content) });
  }

  /** Whole pages only. */
  clear(url: string, offset: number, length: number): void {
    const disk = this.#disk(url);
    this.#disks.set(url, { ...disk, ...cleared(disk, offset, length) });
  }

  /** A snapshot that is no backup's: it can be read, and is not listed. */
  keep(url: string): Reference {
    const id = `kept-${++this.#made}`;
    this.#kept.set(id, this.#disk(url));
    return { url, snapshot: id };
  }

  image(url: string): SparseImage {
    return this.#disk(url);
  }

  /** What a snapshot held and whose it was, also after it was removed. */
  everMade(
    reference: Reference,
  ): (SparseImage & { readonly attemptId: AttemptId; readonly phase?: PowerPhase }) | undefined {
    return this.#everMade.get(reference["snapshot"] ?? "");
  }

  /** The disks that an attempt ever made snapshots of. */
  disksOf(attemptId: AttemptId): ReadonlySet<DiskName> {
    return new Set([...this.#everMade.values()].filter((one) => one.attemptId === attemptId).map(({ name }) => name));
  }

  /** The attempts of the snapshots that are there now, one for each snapshot. */
  attempts(): readonly AttemptId[] {
    return [...this.#snapshots.values()].map(({ attemptId }) => attemptId);
  }

  inspect(vm: ProtectedVm, signal: AbortSignal): Promise<VmInspection> {
    const { source } = vm;
    const disks = this.#disksOf(vm);
    return this.#turn(signal, () => ({
      powerState:
        (source.kind === "page-blob" ? source.powerState : undefined) ?? this.#standing(source) ?? this.powerState,
      conditions: this.#isMoving(source) ? ["provisioning", ...this.conditions] : this.conditions,
      disks: disks.map((disk) => this.#describe(disk)),
      configuration: {
        name: vm.name,
        ...(source.kind === "managed" ? { resourceId: source.resourceId } : {}),
        disks: disks.map(({ name, role }) => ({ name, role })),
      },
    }));
  }

  async snapshot(
    vm: ProtectedVm,
    disks: readonly SourceDisk[],
    { runId, attemptId, isHalted }: Omit<SnapshotAttempt, "wanted">,
    signal: AbortSignal,
  ): Promise<SnapshotOutcome> {
    const before = isHalted === true ? this.#halted.get(attemptId) : undefined;
    if (before !== undefined && before.every(({ reference }) => this.#snapshots.has(reference["snapshot"] ?? ""))) {
      return this.#outcome(attemptId, before);
    }
    const made: string[] = [];
    const snapshots: DiskSnapshot[] = [];
    try {
      for (const [position, disk] of disks.entries()) {
        await Promise.resolve();
        signal.throwIfAborted();
        await this.beforeSnapshot(disk.name);
        const url = this.#urlOf(vm, disk.name);
        const id = `snapshot-${++this.#made}`;
        const phase = this.power === undefined ? {} : { phase: this.power.phaseOf(vm.source) };
        const snapshot = { ...this.#disk(url), runId, attemptId, url, name: disk.name, vmId: vm.vmId, ...phase };
        this.#snapshots.set(id, snapshot);
        this.#everMade.set(id, snapshot);
        made.push(id);
        const snapshotAt = timestamp(this.#now() + position * this.skewMs);
        const { name, ...facts } = disk;
        snapshots.push({ ...facts, disk: name, snapshotAt, reference: { url, snapshot: id } });
      }
      if (isHalted === true) this.#halted.set(attemptId, snapshots);
      return this.#outcome(attemptId, snapshots);
    } catch (cause) {
      for (const id of made) this.#snapshots.delete(id);
      throw new FarsideError("snapshot-failed", `A snapshot could not be taken: ${String(cause)}`, { cause });
    }
  }

  continueSnapshot(
    _vm: ProtectedVm,
    operation: string,
    _attempt: SnapshotAttempt,
    signal: AbortSignal,
  ): Promise<SnapshotOutcome> {
    return this.#turn(signal, () => {
      const begun = this.#begun.get(operation);
      if (begun === undefined) throw new FarsideError("snapshot-failed", `There is no operation ${operation}.`);
      if (begun.left <= 1) return this.#taken(begun.snapshots);
      begun.left -= 1;
      return { kind: "waiting", operation, retryAfterMs: 60_000, isFixed: this.isFixed };
    });
  }

  #outcome(attemptId: AttemptId, snapshots: readonly DiskSnapshot[]): SnapshotOutcome {
    if (this.waits === 0) return this.#taken(snapshots);
    if (!this.#begun.has(attemptId)) this.#begun.set(attemptId, { left: this.waits, snapshots });
    return { kind: "waiting", operation: attemptId, retryAfterMs: 60_000, isFixed: this.isFixed };
  }

  #standing(source: VmSource): "running" | "stopped" | undefined {
    const phase = this.power?.phaseOf(source);
    return phase === "running" || phase === "stopped" ? phase : undefined;
  }

  #isMoving(source: VmSource): boolean {
    return this.power !== undefined && this.#standing(source) === undefined;
  }

  listSnapshots(vm: ProtectedVm, signal: AbortSignal): Promise<readonly OwnSnapshot[]> {
    // Of a VM of the platform also those of disks that were exchanged since.
    const urls = new Set(vm.source.kind === "managed" ? [] : vm.source.disks.map((disk) => disk.url));
    return this.#turn(signal, () =>
      [...this.#snapshots]
        .filter(([, snapshot]) => urls.has(snapshot.url) || (urls.size === 0 && snapshot.vmId === vm.vmId))
        .map(([id, { runId, attemptId, name, url }]) => ({
          runId,
          attemptId,
          disk: name,
          reference: { url, snapshot: id },
        })),
    );
  }

  removeSnapshot(reference: Reference, signal: AbortSignal): Promise<void> {
    return this.#turn(signal, () => void this.#snapshots.delete(reference["snapshot"] ?? ""));
  }

  release(_reference: Reference, signal: AbortSignal): Promise<void> {
    return this.#turn(signal, () => undefined);
  }

  snapshotExists(reference: Reference, signal: AbortSignal): Promise<boolean> {
    return this.#turn(signal, () => this.#snapshots.has(reference["snapshot"] ?? ""));
  }

  accountOf(reference: Reference): string {
    const { url = "" } = reference;
    return URL.canParse(url) ? new URL(url).host : "the platform";
  }

  probeDiff(_reference: Reference, signal: AbortSignal): Promise<{ diff: "exact" | "wrong"; note?: string }> {
    return this.#turn(signal, () =>
      this.diff.kind === "everything" ? { diff: "wrong", note: "The list holds unchanged pages." } : { diff: "exact" },
    );
  }

  async *allocatedRanges(reference: Reference, window: Window, signal: AbortSignal): AsyncIterable<ByteRange> {
    const { pages, sizeBytes } = await this.#turn(signal, () => this.#readable(reference));
    for (const page of pagesWithin([...pages.keys()], window)) yield clip(page, window, sizeBytes);
  }

  async *changedRanges(
    reference: Reference,
    parent: Reference,
    window: Window,
    signal: AbortSignal,
  ): AsyncIterable<ChangedRange> {
    const now = await this.#turn(signal, () => this.#snapshot(reference));
    const before = this.#snapshot(parent);
    const { diff } = this;
    for (const page of pagesWithin(new Set([...now.pages.keys(), ...before.pages.keys()]), window)) {
      const bytes = now.pages.get(page);
      const same = bytes === before.pages.get(page);
      if (diff.kind === "everything" ? bytes === undefined : same) continue;
      if (diff.kind === "lies" && diff.leavesOut(page * pageBytes)) continue;
      if (page * pageBytes >= now.sizeBytes) continue;
      yield { ...clip(page, window, now.sizeBytes), kind: bytes === undefined ? "zero" : "data" };
    }
  }

  read(reference: Reference, offset: number, length: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
    return this.#turn(signal, () => readImage(this.#readable(reference), offset, length));
  }

  #taken(snapshots: readonly DiskSnapshot[]): SnapshotOutcome {
    return { kind: "taken", snapshots, ...(this.quiesces ? { consistency: this.achieves } : {}) };
  }

  async #turn<T>(signal: AbortSignal, work: () => T): Promise<T> {
    signal.throwIfAborted();
    await Promise.resolve();
    return work();
  }

  #describe({ name, url, lun, role }: PageBlobDisk): SourceDisk {
    const { identity, sizeBytes } = this.#disk(url);
    return { name, ...(lun === undefined ? {} : { lun }), role, sizeBytes, logicalSectorSize: 512, identity };
  }

  #disksOf({ source }: ProtectedVm): readonly PageBlobDisk[] {
    if (source.kind === "page-blob") return source.disks;
    return this.#managed.get(source.resourceId.toLowerCase()) ?? this.disksOfMachine(source.resourceId);
  }

  #urlOf(vm: ProtectedVm, name: DiskName): string {
    const disk = this.#disksOf(vm).find((one) => one.name === name);
    if (disk === undefined) throw new FarsideError("not-found", `The VM ${vm.name} has no disk ${name}.`);
    return disk.url;
  }

  #disk(url: string): Disk {
    const disk = this.#disks.get(url);
    if (disk === undefined) throw new FarsideError("not-found", `There is no disk at ${url}.`, { details: { url } });
    return disk;
  }

  #readable(reference: Reference): SparseImage {
    return this.#kept.get(reference["snapshot"] ?? "") ?? this.#snapshot(reference);
  }

  #snapshot(reference: Reference): Snapshot {
    const snapshot = this.#snapshots.get(reference["snapshot"] ?? "");
    if (snapshot === undefined) throw new FarsideError("not-found", `There is no snapshot ${reference["snapshot"]}.`);
    return snapshot;
  }
}

function pagesWithin(pages: Iterable<number>, { fromByte, toByte }: Window): readonly number[] {
  return [...pages]
    .filter((page) => (page + 1) * pageBytes > fromByte && page * pageBytes < toByte)
    .sort((a, b) => a - b);
}

function clip(page: number, { fromByte, toByte }: Window, sizeBytes: number): ByteRange {
  const offset = Math.max(page * pageBytes, fromByte);
  return { offset, length: Math.min((page + 1) * pageBytes, toByte, sizeBytes) - offset };
}
