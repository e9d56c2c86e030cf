/**
 * Backups of VMs of Azure over the local ARM: a VM of 32 disks with 32 TiB in all, in full and then by what changed, with the peak memory of the
 * functions host's worker, the time and the requests to ARM; and the longest that any function ran while a platform took half an hour
 * for its restore point and seconds for each SAS.
 * Not measured: Azure. The local ARM answers in milliseconds, from this machine, and refuses as early as the documentation says.
 */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { startAzurite, type Azurite } from "../../local/azurite/azurite-process.ts";
import { DemoApi } from "../../local/demo/api.ts";
import { startStack, type Stack } from "../../local/stack/stack.ts";
import { startManagedRegion, type ManagedRegion, type ManagedVm } from "../../test/support/managed-vm.ts";
import { startManagedBackups, succeeded } from "../../test/support/managed-backups.ts";
import type { Figure } from "../support/figure.ts";
import { mib } from "../support/regions.ts";
import { watchPeak } from "../support/watch-peak.ts";

interface Shape {
  readonly disks: number;
  /** Of each. */
  readonly sizeGib: number;
  /** Of a MiB, on each disk, spread over it. */
  readonly pieces: number;
}

/** The same data, and what a worker needs for anything at all. */
const small: Shape = { disks: 1, sizeGib: 1, pieces: 320 };
const large: Shape = { disks: 32, sizeGib: 1024, pieces: 10 };
/** The smallest instance of Azure Functions has 512 MiB ("Flex Consumption plan hosting", instance sizes). */
const memoryLimitBytes = 384 * mib;
const stepLimitMs = 60_000;
/** Deletions are begun by the run's own clean-up, or by the reconciler's next tick. */
const cleanUpLimitMs = 5 * 60_000;
const pointMs = 30 * 60_000;
const accessMs = 2000;
/** docs/azure.md, "Requests". */
const requestsOf = (count: number): number => 16 + 14 * count;

export async function managed(): Promise<Figure[]> {
  const few = await backupsOf(small);
  const many = await backupsOf(large);
  const vault = await startAzurite({ accounts: [{ name: "vaultacct", key: randomBytes(64).toString("base64") }] });
  try {
    const figures = many.map((one, at) => figureOf(at === 0 ? "first" : "second", one, few[at]));
    return [...figures, await longestStep(vault)];
  } finally {
    await vault.stop();
  }
}

/** A full one, and one by what changed. */
async function backupsOf({ disks, sizeGib, pieces }: Shape): Promise<readonly Measured[]> {
  const region = await startManagedRegion({ now: Date.now });
  const settings = { FARSIDE_LOCAL_ARM: region.server.url };
  const stack = await startStack({ log: () => undefined, settings });
  const api = new DemoApi(stack, new AbortController().signal);
  try {
    const vm = await region.addVm("large", disks, { sizeGib });
    await writePieces(vm, sizeGib, pieces);
    await api.put("policies/bench", {
      retention: { keepLast: 3 },
      consistency: { wanted: "application", least: "crash" },
    });
    await api.put("vms/large", { policy: "bench", source: { kind: "managed", resourceId: vm.resourceId } });
    const first = await backup(stack, api, region);
    await writePieces(vm, sizeGib, 1);
    return [first, await backup(stack, api, region)];
  } finally {
    await stack.stop();
    await region.stop();
  }
}

interface Measured {
  readonly mode: string;
  readonly seconds: number;
  readonly readBytes: number;
  readonly peakBytes: number;
  readonly requests: number;
  /** From the run's end until nothing but the base was left. */
  readonly cleanUpSeconds: number;
}

async function backup(stack: Stack, api: DemoApi, region: ManagedRegion): Promise<Measured> {
  const memory = watchPeak(() => stack.host.workerPid);
  region.requests.length = 0;
  const startedAt = performance.now();
  try {
    const { runId } = await api.post<{ runId: string }>("vms/large/backups", {});
    const run = await api.finished(runId);
    if (run.state !== "succeeded") throw new Error(`The run ${run.state}: ${run.error?.message ?? ""}`);
    const endedAt = performance.now();
    while (!isCleanedUp(region)) {
      if (performance.now() - endedAt > cleanUpLimitMs) throw new Error("The run was not cleaned up.");
      await sleep(100);
    }
    return {
      mode: [...new Set(run.disks.map(({ mode }) => mode))].join(" and "),
      seconds: (endedAt - startedAt) / 1000,
      readBytes: run.disks.reduce((sum, disk) => sum + disk.readBytes, 0),
      requests: region.requests.length,
      cleanUpSeconds: (performance.now() - endedAt) / 1000,
      peakBytes: memory.stop(),
    };
  } finally {
    memory.stop();
  }
}

/** One restore point is there, and nobody has access to it. */
function isCleanedUp({ server }: ManagedRegion): boolean {
  server.arm.operations.settle(Date.now());
  const points = server.arm.resources.all().filter(({ type }) => type.endsWith("/restorePoints"));
  return points.length === 1 && server.arm.grants.all().length === 0;
}

function figureOf(which: string, measured: Measured, few: Measured | undefined): Figure {
  const { mode, seconds, readBytes, requests, cleanUpSeconds, peakBytes } = measured;
  const { disks, sizeGib } = large;
  const most = requestsOf(disks);
  return {
    name: `${which} backup of a VM of ${disks} disks with ${(disks * sizeGib) / 1024} TiB (${mode})`,
    value:
      `worker's peak memory ${(peakBytes / mib).toFixed(0)} MiB (with one disk of 1 GiB: ${((few?.peakBytes ?? 0) / mib).toFixed(0)} MiB), ${requests} requests to ARM, ${(readBytes / mib).toFixed(0)} MiB read ` +
      `in ${seconds.toFixed(0)} s, cleaned up ${cleanUpSeconds.toFixed(0)} s later`,
    target: `< 384 MiB, <= ${most} requests`,
    met: peakBytes < memoryLimitBytes && requests <= most,
  };
}

async function writePieces(vm: ManagedVm, sizeGib: number, count: number): Promise<void> {
  const step = Math.floor((sizeGib * 1024) / count) * mib;
  for (const disk of vm.diskIds.keys()) {
    for (let piece = 0; piece < count; piece++) await vm.write(disk, piece * step, randomBytes(mib));
  }
}

/** Of every function that ran for a backup, by the machine's own clock, while the platform's waits passed by the pipeline's. */
async function longestStep(vault: Azurite): Promise<Figure> {
  const took: { kind: string; ms: number }[] = [];
  const backups = await startManagedBackups(vault, { onStep: ({ kind }, ms) => void took.push({ kind, ms }) });
  try {
    backups.takes = (operation) => (operation.startsWith("access") ? accessMs : pointMs);
    const vm = await backups.web({ disks: large.disks });
    succeeded(await backups.backup());
    await vm.write(1, 8 * mib, randomBytes(mib));
    succeeded(await backups.nextScheduled());
  } finally {
    await backups.stop();
  }
  const longest = took.toSorted((a, b) => b.ms - a.ms)[0] ?? { kind: "none", ms: Number.POSITIVE_INFINITY };
  return {
    name: `longest function of two backups of ${large.disks} disks, whose restore points take 30 min, and each SAS 2 s`,
    value: `${(longest.ms / 1000).toFixed(1)} s (${longest.kind}) of ${took.length}`,
    target: "< 60 s",
    met: longest.ms < stepLimitMs,
  };
}
