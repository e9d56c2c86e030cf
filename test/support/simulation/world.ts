/**
 * A whole installation in memory: catalog, queues, vault, disks, guests and a clock that moves only when told to. Processes of the app
 * run in it, and die in it; the services live on.
 */
import { MemoryCatalog } from "../../../shared/adapters/memory/memory-catalog.ts";
import { MemoryDiskReverter } from "../../../shared/adapters/memory/memory-disk-reverter.ts";
import { MemoryDiskSource } from "../../../shared/adapters/memory/memory-disk-source.ts";
import { MemoryMachineTarget } from "../../../shared/adapters/memory/memory-machine-target.ts";
import { MemoryDiskTarget } from "../../../shared/adapters/memory/memory-disk-target.ts";
import { MemoryGuest } from "../../../shared/adapters/memory/memory-guest.ts";
import { MemoryTaskQueue, type PendingTask } from "../../../shared/adapters/memory/memory-task-queue.ts";
import { MemoryVaultStore } from "../../../shared/adapters/memory/memory-vault-store.ts";
import type { ConsistencyLevel } from "../../../shared/core/consistency.ts";
import { FarsideError } from "../../../shared/core/errors.ts";
import { parseDiskName, parsePolicyName, parseVmName, type RunId } from "../../../shared/core/ids.ts";
import { parseVmResourceId, type VmResourceId } from "../../../shared/core/resource-id.ts";
import type { Policy } from "../../../shared/core/policy.ts";
import type { Run } from "../../../shared/core/run.ts";
import type { Task } from "../../../shared/core/task.ts";
import { timestamp } from "../../../shared/core/timestamp.ts";
import { vmIdOf, type ProtectedVm } from "../../../shared/core/vm.ts";
import type { Context, StepLimits } from "../../../shared/operations/context.ts";
import { failPoisoned } from "../../../shared/operations/fail-poisoned.ts";
import { listAll } from "../../../shared/operations/list-all.ts";
import { reconcile, type ReconcileInput } from "../../../shared/operations/reconcile.ts";
import { requestBackup } from "../../../shared/operations/request-backup.ts";
import { runStep } from "../../../shared/operations/run-step.ts";
import { createTransfer } from "../../../shared/operations/transfer.ts";
import type { StepOutcome } from "../../../shared/operations/step-outcome.ts";
import { initVault } from "../../../shared/operations/vault/init-vault.ts";
import type { OpenVault } from "../../../shared/operations/vault/open-vault.ts";
import type { GuestAgent } from "../../../shared/ports/guest-agent.ts";
import { gated } from "./gated.ts";
import { IntervalCalendar } from "./interval-calendar.ts";
import { Death, Process } from "./process.ts";
import { SeededRandom } from "./seeded-random.ts";
import { VirtualClock } from "./virtual-clock.ts";

export const chunkSizeBytes = 256 * 1024;
export const minuteMs = 60_000;
const visibilityMs = 30_000;

export interface VmOptions {
  readonly disks: Readonly<Record<string, number>>;
  readonly policy?: string;
  readonly guest?: boolean;
  /** A VM of the platform, without a guest that is asked. */
  readonly managed?: boolean;
  readonly settings?: Partial<Pick<ProtectedVm, "osType" | "osVersion" | "role">>;
}

export class World {
  readonly signal = new AbortController().signal;
  readonly clock = new VirtualClock(Date.UTC(2026, 10, 21, 8, 0, 30));
  readonly random: SeededRandom;
  readonly catalog = new MemoryCatalog();
  readonly queue = new MemoryTaskQueue({ now: this.clock.serviceNow });
  readonly store = new MemoryVaultStore(this.clock.serviceNow);
  readonly source = new MemoryDiskSource(this.clock.serviceNow);
  readonly reverter = new MemoryDiskReverter(this.source);
  readonly target = new MemoryDiskTarget();
  readonly machines = new MemoryMachineTarget(this.source);
  readonly guests = new Map<string, MemoryGuest>();
  readonly log: { level: string; event: string; fields: Readonly<Record<string, unknown>> }[] = [];
  limits: StepLimits = {
    windowBytes: chunkSizeBytes,
    stepBudgetMs: minuteMs,
    windowsAhead: 2,
    chunksAtOnce: 4,
    sampleChunks: 2,
  };
  #vault: OpenVault | undefined;

  private constructor(seed: number) {
    this.random = new SeededRandom(seed);
    this.source.disksOfMachine = (id) => this.machines.machine(id)?.disks ?? [];
  }

  static async create(seed = 1): Promise<World> {
    const world = new World(seed);
    const { store, clock, random, signal } = world;
    world.#vault = await initVault({ store, clock, random, chunkSizeBytes, encryption: { kind: "none" } }, signal);
    return world;
  }

  get vault(): OpenVault {
    if (this.#vault === undefined) throw new Error("The world was not created.");
    return this.#vault;
  }

  /** What a process of the app works with. */
  context(process: Process = new Process()): Context {
    const vault = { ...this.vault, store: gated("store", this.store, process) };
    const source = gated("source", this.source, process);
    const reverter = gated("reverter", this.reverter, process);
    return {
      clock: this.clock,
      random: this.random,
      log: { log: (level, event, fields) => void this.log.push({ level, event, fields }) },
      calendar: new IntervalCalendar(),
      catalog: gated("catalog", this.catalog, process),
      tasks: gated("tasks", { send: this.queue.send.bind(this.queue) }, process),
      source: () => source,
      guest: gated("guest", this.#guestAgent(), process),
      target: gated("target", this.target, process),
      machines: gated("machines", this.machines, process),
      reverter: () => reverter,
      vault: () => Promise.resolve(vault),
      limits: this.limits,
      transfer: createTransfer(this.limits.chunksAtOnce),
      tool: { name: "farside", version: "0.0.0" },
    };
  }

  async addPolicy(name: string, changes: Partial<Omit<Policy, "name">> = {}): Promise<Policy> {
    const now = timestamp(this.clock.now());
    const policy: Policy = {
      name: parsePolicyName(name),
      retention: { keepLast: 7 },
      consistency: { wanted: "application", least: "crash" },
      rpoSeconds: 3600,
      retryWindowSeconds: 3600,
      freezeTtlSeconds: 60,
      pauseReplication: false,
      usnRollback: "warn",
      createdAt: now,
      updatedAt: now,
      ...changes,
    };
    const inserted = await this.catalog.policies.insert(policy, this.signal);
    if (inserted === "exists") throw new Error(`There is a policy ${name} already.`);
    return policy;
  }

  async addVm(name: string, options: VmOptions): Promise<ProtectedVm> {
    const { disks, policy = "standard", managed = false, guest = !managed, settings = {} } = options;
    const now = timestamp(this.clock.now());
    const guestUrl = `https://guest.example/${name}`;
    const standing = Object.keys(disks).map((disk, lun) => ({
      name: parseDiskName(disk),
      url: diskUrl(name, disk),
      lun,
      role: lun === 0 ? ("os" as const) : ("data" as const),
    }));
    if (managed) this.machines.addMachine(machineIdOf(name), standing);
    const vm: ProtectedVm = {
      name: parseVmName(name),
      vmId: vmIdOf(parseVmName(name)),
      policy: parsePolicyName(policy),
      source: managed
        ? { kind: "managed", resourceId: machineIdOf(name) }
        : { kind: "page-blob", disks: standing, ...(guest ? { guestUrl } : {}) },
      protectedAt: now,
      updatedAt: now,
      ...settings,
    };
    for (const [disk, sizeBytes] of Object.entries(disks)) this.source.addDisk(diskUrl(name, disk), sizeBytes);
    if (guest) this.guests.set(guestUrl, new MemoryGuest(this.clock.serviceNow));
    await this.catalog.vms.insert(vm, this.signal);
    return vm;
  }

  guest(vm: string): MemoryGuest {
    const guest = this.guests.get(`https://guest.example/${vm}`);
    if (guest === undefined) throw new Error(`The VM ${vm} has no guest.`);
    return guest;
  }

  /** Writes a run of random bytes, so that it is no other chunk's content. */
  scribble(vm: string, disk: string, offset: number, length = 4096): void {
    this.source.write(diskUrl(vm, disk), offset, this.random.bytes(length));
  }

  async run(runId: RunId): Promise<Run> {
    const stored = await this.catalog.runs.get(runId, this.signal);
    if (stored === undefined) throw new Error(`There is no run ${runId}.`);
    return stored.value;
  }

  async runs(): Promise<readonly Run[]> {
    const runs: Run[] = [];
    for await (const { value } of listAll(this.catalog.runs, {}, this.signal)) runs.push(value);
    return runs;
  }

  async eventNames(runId: RunId): Promise<readonly string[]> {
    const names: string[] = [];
    for await (const { value } of listAll(this.catalog.runEvents, { runId }, this.signal)) names.push(value.name);
    return names;
  }

  perform(task: Task, process = new Process()): Promise<StepOutcome> {
    return runStep(this.context(process), task, this.signal);
  }

  /** As the queue does: hidden while it is worked on, deleted after success, seen again after a failure, poisoned after five. */
  async deliver(message: PendingTask, process = new Process()): Promise<StepOutcome | "failed" | "died"> {
    const delivery = this.queue.deliver(message.messageId, visibilityMs);
    if (delivery === undefined) return "failed";
    try {
      if (delivery.deliveries > 5) {
        await failPoisoned(this.context(process), delivery, this.signal);
        this.queue.remove(delivery.messageId);
        return "failed";
      }
      const outcome = await this.perform(delivery.task, process);
      this.queue.remove(delivery.messageId);
      return outcome;
    } catch (error) {
      if (process.dead || error instanceof Death) return "died";
      if (!(error instanceof FarsideError)) throw error;
      this.log.push({
        level: "error",
        event: "delivery-failed",
        fields: { task: delivery.kind, error: error.message },
      });
      return "failed";
    }
  }

  visible(): readonly PendingTask[] {
    return this.queue.pending().filter(({ visibleAtMs }) => visibleAtMs <= this.clock.serviceNow());
  }

  reconcile(input: ReconcileInput = {}, process = new Process()) {
    return reconcile(this.context(process), input, this.signal);
  }

  /** Delivers what is visible, one after the other, until nothing is; time stands still. */
  async drain(processes: () => Process = () => new Process()): Promise<void> {
    for (let next = this.visible()[0]; next !== undefined; next = this.visible()[0]) {
      await this.deliver(next, processes());
    }
  }

  /** Lets time pass, messages arrive and the reconciler tick, until every run has ended and nothing is left to deliver. */
  async settle(limitMinutes = 48 * 60): Promise<void> {
    for (let passed = 0; passed < limitMinutes; passed++) {
      await this.drain();
      await this.reconcile({ sweep: "all" });
      if (
        this.queue.pending().length === 0 &&
        (await this.runs()).every((run) => "cleanUp" in run && run.cleanUp === "done")
      )
        return;
      const nextAt = this.queue.pending()[0]?.visibleAtMs ?? Infinity;
      const passing = Math.min(Math.max(nextAt - this.clock.serviceNow(), 1), 2 * minuteMs);
      this.clock.advance(passing);
    }
    throw new Error(`The world did not come to rest within ${limitMinutes} minutes.`);
  }

  /** A backup from its request to its end. */
  async backUp(vm: string): Promise<Run> {
    const { run } = await requestBackup(this.context(), { vm: parseVmName(vm) }, this.signal);
    await this.settle();
    return this.run(run.runId);
  }

  #guestAgent(): GuestAgent {
    const find = (url: string): MemoryGuest => {
      const guest = this.guests.get(url);
      if (guest !== undefined) return guest;
      throw new FarsideError("guest-failed", `There is no guest at ${url}.`);
    };
    return {
      freeze: (url, request, signal) => find(url).freeze(url, request, signal),
      thaw: (url, token, signal) => find(url).thaw(url, token, signal),
      state: (url, signal) => find(url).state(url, signal),
    };
  }
}

export const groupId = "/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/prod";

export function machineIdOf(vm: string): VmResourceId {
  return parseVmResourceId(`${groupId}/providers/Microsoft.Compute/virtualMachines/${vm}`);
}

export function diskUrl(vm: string, disk: string): string {
  return `https://source.example/${vm}/${disk}.vhd`;
}

export const consistencyOf = (wanted: ConsistencyLevel, least: ConsistencyLevel) => ({
  consistency: { wanted, least },
});
