/**
 * The pipeline in this process over real storage: disks, vault, targets and guests by the Azure adapters, the catalog and the
 * queues in memory. For tests and benchmarks that need many runs, or to look at the process itself; what the functions host adds
 * is tested with the host. Where a run waits for its next try, the clock is put forward.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { BlobVaultStore } from "../../shared/adapters/azure/blob-vault-store.ts";
import { HttpGuestAgent, type GuestLimits } from "../../shared/adapters/azure/http-guest-agent.ts";
import { ManagedMachineTarget } from "../../shared/adapters/azure/managed/machine/managed-machine-target.ts";
import { ManagedDiskSource } from "../../shared/adapters/azure/managed/managed-disk-source.ts";
import { ArmVmDirectory } from "../../shared/adapters/azure/managed/vm-directory.ts";
import { armOpener } from "../../shared/compose/arm.ts";
import { PageBlobSource } from "../../shared/adapters/azure/page-blob-source.ts";
import { PageBlobReverter } from "../../shared/adapters/azure/page-blob-reverter.ts";
import { PageBlobTarget } from "../../shared/adapters/azure/page-blob-target.ts";
import { StorageAccounts } from "../../shared/adapters/azure/storage-accounts.ts";
import { openContainer } from "../../shared/adapters/azure/storage-clients.ts";
import { MemoryCatalog } from "../../shared/adapters/memory/memory-catalog.ts";
import { MemoryTaskQueue } from "../../shared/adapters/memory/memory-task-queue.ts";
import { cronCalendar } from "../../shared/adapters/local/cron-calendar.ts";
import { systemClock, systemRandom } from "../../shared/compose/system.ts";
import type { DiscoveryScope } from "../../shared/core/discovery-scope.ts";
import type { ConsistencyLevel } from "../../shared/core/consistency.ts";
import { hasCode } from "../../shared/core/errors.ts";
import type { RunId, VmName } from "../../shared/core/ids.ts";
import { parseDiskName, parseVmName } from "../../shared/core/ids.ts";
import type { BackupRun, Run } from "../../shared/core/run.ts";
import { hasEnded } from "../../shared/core/run.ts";
import type { Task } from "../../shared/core/task.ts";
import { timestamp } from "../../shared/core/timestamp.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import type { Clock } from "../../shared/ports/clock.ts";
import type { Context, StepLimits } from "../../shared/operations/context.ts";
import { failPoisoned } from "../../shared/operations/fail-poisoned.ts";
import { requestBackup } from "../../shared/operations/request-backup.ts";
import { reconcile } from "../../shared/operations/reconcile.ts";
import { runStep } from "../../shared/operations/run-step.ts";
import { createTransfer } from "../../shared/operations/transfer.ts";
import { initVault } from "../../shared/operations/vault/init-vault.ts";
import type { OpenVault } from "../../shared/operations/vault/open-vault.ts";
import { addPolicy } from "./add-policy.ts";

export interface RealPipelineOptions {
  /** Connection strings of accounts that disks may be in, or be restored to. */
  readonly accounts: readonly string[];
  readonly vaultConnection: string;
  readonly vaultContainer: string;
  readonly chunkSizeBytes?: number;
  readonly limits?: Partial<StepLimits>;
  /** Of a local ARM, where VMs of Azure are. */
  readonly armUrl?: string;
  /** A tick of the reconciler in every minute that passes while a run is driven. */
  readonly reconciles?: true;
  /** Where VMs are looked for, and by which tag. */
  readonly scopes?: readonly DiscoveryScope[];
  readonly tag?: string;
  /** As whom it comes to that ARM. */
  readonly armPrincipal?: string;
  /** How long a guest may take to answer, where a test cannot wait as long as the service does. */
  readonly guestLimits?: GuestLimits;
  /** A step that throws is delivered again as the functions host does it, and the fifth time fails its run. Else it ends the test. */
  readonly poisons?: boolean;
  /** Called after each delivery of a step, with what it took of real time. */
  readonly onStep?: (task: Task, ms: number) => void;
}

export interface RealVm {
  readonly name: string;
  readonly disks: readonly { readonly name: string; readonly url: string }[];
  readonly guestUrl?: string;
  readonly wanted?: ConsistencyLevel;
  readonly least?: ConsistencyLevel;
  readonly freezeTtlSeconds?: number;
  readonly retryWindowSeconds?: number;
}

export interface RealPipeline {
  readonly context: Context;
  readonly vault: OpenVault;
  protect(vm: RealVm): Promise<VmName>;
  /** Requests a backup and drives it to its end, whatever that is. */
  backup(vm: VmName): Promise<BackupRun>;
  /** Delivers messages until the run has ended, or is as it was asked for. */
  drive(runId: RunId, until?: (run: Run) => boolean): Promise<Run>;
  /** Lets minutes pass, with a tick of the reconciler in each. */
  elapse(minutes: number): Promise<void>;
  /** Puts the clock forward. */
  advance(ms: number): void;
}

const limits: StepLimits = {
  windowBytes: 1024 ** 3,
  stepBudgetMs: 240_000,
  windowsAhead: 64,
  chunksAtOnce: 6,
  sampleChunks: 4,
};
const visibilityMs = 600_000;
const minuteMs = 60_000;
/** host.json: how long the host waits after a delivery that failed, and how many there are. */
const failedDeliveryMs = 30_000;
const mostDeliveries = 5;
const never = new AbortController().signal;

export async function createRealPipeline(options: RealPipelineOptions): Promise<RealPipeline> {
  const [system, random, calendar] = [systemClock(), systemRandom(), cronCalendar];
  let aheadMs = 0;
  const clock: Clock = {
    ...system,
    now: () => system.now() + aheadMs,
    monotonic: () => system.monotonic() + aheadMs,
  };
  const accounts = await StorageAccounts.open(options.accounts);
  const container = await openContainer({
    kind: "connection-string",
    connectionString: options.vaultConnection,
    container: options.vaultContainer,
  });
  const vault = await initVault(
    {
      store: new BlobVaultStore(container),
      clock,
      random,
      // The least that scrypt allows: the passphrase is not what is tested here.
      encryption: { kind: "passphrase", passphrase: "a passphrase for tests", scrypt: { n: 1024, r: 8, p: 1 } },
      ...(options.chunkSizeBytes === undefined ? {} : { chunkSizeBytes: options.chunkSizeBytes }),
    },
    never,
  );
  const source = new PageBlobSource(accounts);
  // Nobody asks it where there is none.
  const { armUrl = "http://127.0.0.1:1", armPrincipal: principal = "local" } = options;
  // What its token bucket waits is time of the pipeline's, not of the test's.
  const pass = async (ms: number): Promise<void> => void (aheadMs += ms);
  const monotonic = (): number => system.monotonic() + aheadMs;
  const arm = armOpener({ kind: "local", url: armUrl, principal }, { ...clock, sleep: pass, monotonic });
  const managed = new ManagedDiskSource({ arm, clock, vaultId: () => Promise.resolve(vault.descriptor.vaultId) });
  const reverter = new PageBlobReverter(accounts);
  const queue = new MemoryTaskQueue(clock);
  const context: Context = {
    clock,
    random,
    calendar,
    log: { log: () => undefined },
    catalog: new MemoryCatalog(),
    tasks: queue,
    source: (kind) => (kind === "managed" ? managed : source),
    discovery: {
      scopes: options.scopes ?? [],
      tag: options.tag ?? "farside-policy",
      directory: new ArmVmDirectory(arm),
    },
    guest: new HttpGuestAgent(options.guestLimits),
    target: new PageBlobTarget(accounts),
    machines: new ManagedMachineTarget({ arm, clock, discoveryTag: options.tag ?? "farside-policy" }),
    reverter: () => reverter,
    vault: () => Promise.resolve(vault),
    limits: { ...limits, ...options.limits },
    transfer: createTransfer(options.limits?.chunksAtOnce ?? limits.chunksAtOnce),
    tool: { name: "farside", version: "test" },
  };

  const elapse = async (minutes: number): Promise<void> => {
    for (let minute = 0; minute < minutes; minute++) {
      aheadMs += minuteMs;
      await reconcile(context, {}, never);
    }
  };

  let atWork = 0;
  const drive = async (runId: RunId, until = hasEnded): Promise<Run> => {
    for (;;) {
      const run = (await context.catalog.runs.get(runId, never))?.value;
      if (run !== undefined && (hasEnded(run) || until(run))) return run;
      const task = queue.receive(visibilityMs);
      if (task === undefined) {
        const next = atWork === 0 ? queue.pending()[0] : undefined;
        if (next === undefined) await sleep(5);
        else if (options.reconciles === undefined) aheadMs += Math.max(0, next.visibleAtMs - clock.now());
        else if (next.visibleAtMs - clock.now() > minuteMs) await elapse(1);
        else aheadMs += Math.max(0, next.visibleAtMs - clock.now());
        continue;
      }
      atWork++;
      const startedAt = performance.now();
      try {
        await runStep(context, task.task, never).finally(() =>
          options.onStep?.(task.task, performance.now() - startedAt),
        );
        queue.remove(task.messageId);
      } catch (error) {
        const isLast = task.deliveries >= mostDeliveries;
        if (options.poisons === true && isLast) {
          queue.remove(task.messageId);
          await failPoisoned(context, { task: task.task }, never);
          continue;
        }
        if (options.poisons !== true && (isLast || !passes(error))) throw error;
        queue.release(task.messageId, options.poisons === true ? failedDeliveryMs : 100);
      } finally {
        atWork--;
      }
    }
  };

  return {
    context,
    vault,
    drive,
    elapse,
    advance: (ms) => void (aheadMs += ms),
    async protect(vm) {
      const now = timestamp(clock.now());
      const policy = await addPolicy(context, `for-${vm.name}`, {
        consistency: { wanted: vm.wanted ?? "crash", least: vm.least ?? "crash" },
        retryWindowSeconds: vm.retryWindowSeconds ?? 60,
        freezeTtlSeconds: vm.freezeTtlSeconds ?? 20,
      });
      const name = parseVmName(vm.name);
      const disks = vm.disks.map(({ name: disk, url }, lun) => ({
        name: parseDiskName(disk),
        url,
        lun,
        role: lun === 0 ? ("os" as const) : ("data" as const),
      }));
      const guest = vm.guestUrl === undefined ? {} : { guestUrl: vm.guestUrl };
      await context.catalog.vms.insert(
        {
          name,
          vmId: vmIdOf(name),
          policy,
          source: { kind: "page-blob", disks, ...guest },
          protectedAt: now,
          updatedAt: now,
        },
        never,
      );
      return name;
    },
    async backup(vm) {
      const { run } = await requestBackup(context, { vm }, never);
      const ended = await drive(run.runId);
      if (ended.kind !== "backup") throw new Error(`Run ${run.runId} is no backup.`);
      return ended;
    },
  };
}

function passes(error: unknown): boolean {
  return hasCode(error, "unavailable", "throttled", "conflict", "guest-failed");
}
