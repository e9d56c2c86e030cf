/**
 * A platform in memory that makes disks and VMs, for tests and the simulation: what it begins takes as many looks as it is told, and what
 * it has made or exchanged by then stands there for all to see, as in the real one.
 */
import { FarsideError } from "../../core/errors.ts";
import type { DiskName, RunId } from "../../core/ids.ts";
import { quote } from "../../core/ids.ts";
import type { MadeResource } from "../../core/machine-restore.ts";
import type { PageBlobDisk } from "../../core/vm.ts";
import type {
  MachineDisk,
  MachineProgress,
  MachineRestore,
  MachineTarget,
  PlannedMachine,
  TakenBack,
} from "../../ports/machine-target.ts";
import type { MemoryDiskSource } from "./memory-disk-source.ts";
import { emptyImage, type SparseImage, written } from "./sparse-image.ts";

interface Disk {
  readonly runId: RunId;
  readonly name: DiskName;
  image: SparseImage;
  state: "made" | "ready" | "finished";
}

interface Machine {
  readonly runId?: RunId;
  disks: readonly PageBlobDisk[];
  running: boolean;
  /** As people left it. */
  ran: boolean;
  /** What an exchange found. */
  before?: { readonly runId: RunId; readonly disks: readonly PageBlobDisk[]; readonly running: boolean };
}

type Waiting = Extract<MachineProgress, { readonly kind: "waiting" }>;

export class MemoryMachineTarget implements MachineTarget {
  /** How often each thing that is begun has to be looked at before it is there. */
  waits = 0;
  retryAfterMs = 60_000;
  /** Told by `preflight`. */
  notes: readonly string[] = [];
  /** Disks that cannot be removed any more, for somebody uses them: ARM ids. */
  readonly inUse = new Set<string>();
  readonly #source: MemoryDiskSource;
  readonly #disks = new Map<string, Disk>();
  readonly #machines = new Map<string, Machine>();
  /** Disks that were there before any restore. */
  readonly #standing = new Set<string>();
  /** Looks left, by run and by what was begun. */
  readonly #begun = new Map<string, number>();

  /** Finished disks can be backed up there. */
  constructor(source: MemoryDiskSource) {
    this.#source = source;
  }

  addMachine(id: string, disks: readonly PageBlobDisk[], running = true): void {
    for (const { url } of disks) this.#standing.add(url);
    this.#machines.set(id, { disks, running, ran: running });
  }

  machine(id: string): Pick<Machine, "disks" | "running"> | undefined {
    return this.#machines.get(id);
  }

  setRunning(id: string, running: boolean): void {
    Object.assign(this.#machine(id), { running, ran: running });
  }

  /** What is under way takes as many looks again as `waits` says now. */
  forgetBegun(): void {
    this.#begun.clear();
  }

  /** In words, what no VM may be once nobody works on it: stopped though it ran, or with disks of two times. */
  unwell(): readonly string[] {
    return [...this.#machines].flatMap(([id, { disks, running, ran }]) => {
      const owners = new Set(disks.map(({ url }) => this.#disks.get(url)?.runId));
      return [
        ...(running === ran ? [] : [`the VM ${id} is ${running ? "running" : "stopped"}`]),
        ...(owners.size > 1 ? [`the VM ${id} has disks of two times`] : []),
      ];
    });
  }

  /** The content of a finished disk. */
  finished(id: string): SparseImage | undefined {
    const disk = this.#disks.get(id);
    return disk?.state === "finished" ? disk.image : undefined;
  }

  /** Ids of all disks and VMs. */
  ids(): readonly string[] {
    return [...this.#disks.keys(), ...this.#machines.keys(), ...this.#standing];
  }

  /** Ids of all that bears the id of a run, and of VMs whose disks it has. */
  traces(runId: RunId): readonly string[] {
    const disks = [...this.#disks].filter(([, disk]) => disk.runId === runId).map(([id]) => id);
    const isTrace = ({ runId: by, before }: Machine): boolean => by === runId || before?.runId === runId;
    const machines = [...this.#machines].filter(([, machine]) => isTrace(machine)).map(([id]) => id);
    return [...disks, ...machines];
  }

  async preflight(restore: MachineRestore, signal: AbortSignal): Promise<PlannedMachine> {
    await turn(signal);
    const { target, disks, runId, vm } = restore;
    if (target.kind === "swap-disks") this.#checkExchange(restore);
    if (target.kind === "managed-vm") this.#checkFree(this.#machines, machineId(restore), runId);
    // Twice the same exchange would want the same names.
    const own = target.kind === "swap-disks" ? `-${runId.slice(-6)}` : "";
    const prefix = target.namePrefix ?? `${vm}-${restore.snapshotAt.replaceAll(/[^0-9]/g, "")}${own}`;
    const ids = disks.map(({ name }) => `${groupOf(restore)}/providers/Microsoft.Compute/disks/${prefix}-${name}`);
    for (const id of ids) this.#checkFree(this.#disks, id, runId);
    return { disks: ids, notes: this.notes };
  }

  async prepare(restore: MachineRestore, operation: string | undefined, signal: AbortSignal): Promise<MachineProgress> {
    await turn(signal);
    this.#checkOperation(restore, "prepare", operation);
    for (const { name, sizeBytes, url = "" } of restore.disks) {
      this.#checkFree(this.#disks, url, restore.runId);
      if (this.#disks.has(url)) continue;
      this.#disks.set(url, { runId: restore.runId, name, image: emptyImage(sizeBytes), state: "made" });
    }
    const waiting = this.#begin(restore, "prepare", "disks");
    if (waiting !== undefined) return waiting;
    const made = restore.disks.map(({ url = "" }): MadeResource => {
      const disk = this.#own(url, restore.runId);
      if (disk.state === "made") disk.state = "ready";
      return { kind: "disk", id: url };
    });
    return { kind: "done", made, notes: [] };
  }

  async write(
    { url = "", sizeBytes }: MachineDisk,
    runId: RunId,
    offset: number,
    content: Uint8Array,
    signal: AbortSignal,
  ): Promise<void> {
    const end = offset + content.length;
    if (offset % 512 !== 0 || (end % 512 !== 0 && end !== sizeBytes) || end > sizeBytes) {
      throw new RangeError(`A write of ${content.length} bytes at ${offset} does not fit a disk of ${sizeBytes}.`);
    }
    await turn(signal);
    const disk = this.#own(url, runId);
    if (disk.state !== "ready") throw new FarsideError("target-exists", `${url} is not to be written now.`);
    disk.image = written(disk.image, offset, content);
  }

  async finish(restore: MachineRestore, operation: string | undefined, signal: AbortSignal): Promise<MachineProgress> {
    await turn(signal);
    this.#checkOperation(restore, "finish", operation);
    const { runId, disks, target } = restore;
    const own = disks.map(({ url = "" }) => ({ url, disk: this.#own(url, runId) }));
    if (own.some(({ disk }) => disk.state === "made")) throw new FarsideError("internal", "A disk was never ready.");
    const waiting = this.#begin(restore, "finish", "disks");
    if (waiting !== undefined) return waiting;
    for (const { url, disk } of own) {
      if (disk.state === "finished") continue;
      disk.state = "finished";
      this.#source.putDisk(url, disk.image);
    }
    if (target.kind === "managed-vm") return this.#make(restore);
    if (target.kind === "swap-disks") return this.#exchange(restore);
    return { kind: "done", made: [], notes: [] };
  }

  async takeBack(restore: MachineRestore, signal: AbortSignal): Promise<TakenBack> {
    await turn(signal);
    const { runId } = restore;
    for (const key of this.#begun.keys())
      if (key.startsWith(`${runId} `) && !key.includes(" take-back ")) this.#begun.delete(key);
    for (const [id, machine] of this.#machines) {
      const waiting =
        machine.before?.runId === runId ? this.#putBack(restore, machine) : this.#removeMachine(restore, id, machine);
      if (waiting !== undefined) return waiting;
    }
    const mine = [...this.#disks].filter(([, disk]) => disk.runId === runId);
    const left = mine.filter(([id]) => this.inUse.has(id) || this.#isAttached(id)).map(([id]) => id);
    if (mine.length > left.length) {
      const waiting = this.#begin(restore, "take-back", "disks");
      if (waiting !== undefined) return waiting;
    }
    for (const [id] of mine) {
      if (left.includes(id)) continue;
      this.#disks.delete(id);
      this.#source.removeDisk(id);
    }
    return { kind: "gone", left: left.map((id) => `The disk ${id} is in use: detach it, then remove it.`) };
  }

  #make(restore: MachineRestore): MachineProgress {
    const { runId, target } = restore;
    const id = machineId(restore);
    this.#checkFree(this.#machines, id, runId);
    const waiting = this.#begin(restore, "finish", "vm");
    if (waiting !== undefined) return waiting;
    if (!this.#machines.has(id)) {
      const running = !(target.kind === "managed-vm" && target.leaveStopped === true);
      this.#machines.set(id, { runId, disks: restore.disks.map(attached), running, ran: running });
    }
    return { kind: "done", made: [{ kind: "vm", id }], notes: [] };
  }

  #exchange(restore: MachineRestore): MachineProgress {
    const { runId, target } = restore;
    const resourceId: string = restore.resourceId ?? "";
    const machine = this.#machine(resourceId);
    if (machine.before?.runId !== runId) {
      this.#checkExchange(restore);
      machine.before = { runId, disks: machine.disks, running: machine.running };
    }
    const { before } = machine;
    const now = new Map(restore.disks.map((disk) => [disk.name, attached(disk)]));
    if (!machine.disks.some(({ url }) => restore.disks.some((disk) => disk.url === url))) {
      if (machine.running) {
        if (target.kind !== "swap-disks" || !target.mayStop) throw refusedRunning(resourceId);
        const waiting = this.#begin(restore, "finish", "stop");
        if (waiting !== undefined) return waiting;
        machine.running = false;
      }
      const waiting = this.#begin(restore, "finish", "exchange");
      if (waiting !== undefined) return waiting;
      machine.disks = machine.disks.map((disk) => now.get(disk.name) ?? disk);
    }
    if (before.running && !machine.running) {
      const waiting = this.#begin(restore, "finish", "start");
      if (waiting !== undefined) return waiting;
      machine.running = true;
    }
    const made = before.disks.filter(({ name }) => now.has(name));
    return { kind: "done", made: made.map(({ url }) => ({ kind: "detached-disk", id: url })), notes: [] };
  }

  #putBack(restore: MachineRestore, machine: Machine): Waiting | undefined {
    const { before } = machine;
    if (before === undefined) return undefined;
    if (machine.disks !== before.disks) {
      if (machine.running) {
        const stopping = this.#begin(restore, "take-back", "stop");
        if (stopping !== undefined) return stopping;
        machine.running = false;
      }
      const exchanging = this.#begin(restore, "take-back", "exchange");
      if (exchanging !== undefined) return exchanging;
      machine.disks = before.disks;
    }
    if (before.running && !machine.running) {
      const starting = this.#begin(restore, "take-back", "start");
      if (starting !== undefined) return starting;
      machine.running = true;
    }
    delete machine.before;
    return undefined;
  }

  #removeMachine(restore: MachineRestore, id: string, machine: Machine): Waiting | undefined {
    if (machine.runId !== restore.runId) return undefined;
    const waiting = this.#begin(restore, "take-back", "vm");
    if (waiting === undefined) this.#machines.delete(id);
    return waiting;
  }

  /** Undefined once it was looked at often enough. */
  #begin({ runId }: MachineRestore, phase: string, what: string): Waiting | undefined {
    const key = `${runId} ${phase} ${what}`;
    const left = this.#begun.get(key) ?? this.waits;
    this.#begun.set(key, Math.max(0, left - 1));
    if (left === 0) return undefined;
    return { kind: "waiting", operation: `${phase} of ${runId}: ${what}`, retryAfterMs: this.retryAfterMs };
  }

  /** One phase's operation is not the other's. */
  #checkOperation({ runId }: MachineRestore, phase: string, operation: string | undefined): void {
    if (operation === undefined || operation.startsWith(`${phase} of ${runId}: `)) return;
    throw new FarsideError("internal", `${quote(operation)} is no operation to ${phase} of run ${runId}.`);
  }

  #checkFree(all: ReadonlyMap<string, { readonly runId?: RunId }>, id: string, runId: RunId): void {
    const there = all.get(id);
    if (there === undefined || there.runId === runId) return;
    throw new FarsideError("target-exists", `${id} exists already.`, { details: { id } });
  }

  #checkExchange({ resourceId: id, disks, target }: MachineRestore): void {
    const resourceId: string = id ?? "";
    const machine = this.#machine(resourceId);
    const missing = disks.find(({ name }) => !machine.disks.some((one) => one.name === name));
    if (missing !== undefined) throw new FarsideError("refused", `The VM has no disk ${quote(missing.name)} any more.`);
    if (machine.running && !(target.kind === "swap-disks" && target.mayStop)) throw refusedRunning(resourceId);
  }

  #isAttached(id: string): boolean {
    return [...this.#machines.values()].some(({ disks }) => disks.some(({ url }) => url === id));
  }

  #own(id: string, runId: RunId): Disk {
    const disk = this.#disks.get(id);
    if (disk === undefined) throw new FarsideError("not-found", `There is no disk ${id}.`, { details: { id } });
    if (disk.runId === runId) return disk;
    throw new FarsideError("target-exists", `${id} is another run's.`, { details: { id } });
  }

  #machine(id: string): Machine {
    const machine = this.#machines.get(id);
    if (machine === undefined) throw new FarsideError("not-found", `There is no VM ${quote(id)}.`, { details: { id } });
    return machine;
  }
}

function attached({ name, role, lun, url = "" }: MachineDisk): PageBlobDisk {
  return { name, url, role, ...(lun === undefined ? {} : { lun }) };
}

function groupOf({ target, resourceId }: MachineRestore): string {
  return target.kind === "swap-disks" ? (resourceId?.split("/providers/")[0] ?? "") : target.resourceGroup;
}

function machineId(restore: MachineRestore): string {
  const name = restore.target.kind === "managed-vm" ? restore.target.name : "";
  return `${groupOf(restore)}/providers/Microsoft.Compute/virtualMachines/${name}`;
}

function refusedRunning(id: string): FarsideError {
  return new FarsideError("in-use", `${id} is running: stop it, or say that it may be stopped.`, { details: { id } });
}

async function turn(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  await Promise.resolve();
}
