/**
 * Backups of one VM of Azure through the whole pipeline, for tests of what goes wrong: ARM by the real SDK over the local one, the vault in
 * Azurite, steps delivered as the functions host does it. Region and pipeline have one clock, which is put forward.
 */
import { randomBytes } from "node:crypto";
import { expect } from "vitest";
import type { Azurite } from "../../local/azurite/azurite-process.ts";
import { diskBytes } from "../../local/arm/disks/disk-bytes.ts";
import { propertiesOf, type Resource } from "../../local/arm/resources.ts";
import type { ConsistencyLevel } from "../../shared/core/consistency.ts";
import { parseVmName } from "../../shared/core/ids.ts";
import { runEvents } from "../../shared/core/run-events.ts";
import type { BackupRun } from "../../shared/core/run.ts";
import { vmIdOf } from "../../shared/core/vm.ts";
import { protectVm } from "../../shared/operations/manage/protect-vm.ts";
import { reconcile } from "../../shared/operations/reconcile.ts";
import { scheduleBackups } from "../../shared/operations/schedule-backups.ts";
import { newestRestorePoint } from "../../shared/operations/vault/list-restore-points.ts";
import { readDisk } from "../../shared/operations/vault/read-disk.ts";
import { addPolicy } from "./add-policy.ts";
import { startManagedRegion, type ManagedRegion, type ManagedVm, type VmKind } from "./managed-vm.ts";
import { createRealPipeline, type RealPipeline, type RealPipelineOptions } from "./real-pipeline.ts";

export const mib = 1024 ** 2;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const never = new AbortController().signal;
export const webVm = parseVmName("web");

export interface ManagedBackups {
  readonly region: ManagedRegion;
  readonly pipeline: RealPipeline;
  /** Of the region's operations, in milliseconds by the clock. */
  takes: (operation: string) => number;
  /** A VM `web` with something on each disk, protected by a policy with a daily schedule. */
  web(options?: WebOptions): Promise<ManagedVm>;
  backup(): Promise<BackupRun>;
  /** A day later, the schedule's own run. */
  nextScheduled(): Promise<BackupRun>;
  /** What the run waited for between its attempts. */
  waits(run: BackupRun): Promise<readonly unknown[]>;
  /** As the reconciler's timer does it, for every VM. */
  sweep(): Promise<void>;
  /** That the newest restore point holds what its disks hold now, byte for byte. */
  expectHeld(vm: ManagedVm): Promise<void>;
  /**
   * That of snapshots, restore points and grants nothing is there but what the newest restore point needs, and what is named; nothing of
   * the run is left. What the region was told to delete has had an hour for it.
   */
  expectLeft(run: BackupRun, others?: readonly string[]): Promise<void>;
  /** The ids of all snapshots, restore points and disks of restore points. */
  standing(): readonly string[];
  stop(): Promise<void>;
}

export interface WebOptions {
  readonly disks?: number;
  readonly wanted?: ConsistencyLevel;
  readonly least?: ConsistencyLevel;
  readonly retryWindowSeconds?: number;
  readonly kind?: VmKind;
}

let vaults = 0;

export async function startManagedBackups(
  vaultRegion: Azurite,
  options: Pick<RealPipelineOptions, "onStep"> = {},
): Promise<ManagedBackups> {
  let pipeline: RealPipeline | undefined;
  const now = (): number => pipeline?.context.clock.now() ?? Date.now();
  const times = { takes: (operation: string): number => (operation.startsWith("access") ? 0 : 60_000) };
  const region = await startManagedRegion({ now, takes: (operation) => times.takes(operation) });
  const made = await createRealPipeline({
    accounts: [],
    vaultConnection: vaultRegion.connectionString("vaultacct"),
    vaultContainer: `faults-${++vaults}-${randomBytes(4).toString("hex")}`,
    armUrl: region.server.url,
    poisons: true,
    ...options,
  });
  pipeline = made;
  const { context } = made;
  const { arm } = region.server;
  const standing = (): readonly string[] =>
    arm.resources
      .all()
      .filter(isKept)
      .map(({ id }) => id);
  const ended = async (runId: BackupRun["runId"]): Promise<BackupRun> => {
    const run = await made.drive(runId);
    if (run.kind !== "backup") throw new Error(`Run ${run.runId} is no backup.`);
    return run;
  };
  return {
    region,
    pipeline: made,
    standing,
    get takes() {
      return times.takes;
    },
    set takes(value) {
      times.takes = value;
    },
    async web({ disks = 2, wanted = "application", least = "crash", retryWindowSeconds = 4 * 3600, kind = {} } = {}) {
      const vm = await region.addVm("web", disks, kind);
      for (let disk = 0; disk < disks; disk++) await vm.write(disk, 0, randomBytes(mib));
      const name = await addPolicy(context, "daily", {
        schedule: { cron: "0 3 * * *", timeZone: "UTC", jitterSeconds: 0 },
        consistency: { wanted, least },
        retryWindowSeconds,
      });
      const source = { kind: "managed", resourceId: vm.resourceId } as const;
      await protectVm(context, { name: webVm, policy: name, source }, never);
      return vm;
    },
    backup: () => made.backup(webVm),
    async nextScheduled() {
      made.advance(dayMs);
      await scheduleBackups(context, {}, never);
      const { items } = await context.catalog.runs.list({ where: { vm: webVm }, limit: 1 }, never);
      const run = items[0]?.value;
      if (run?.kind !== "backup" || run.trigger.kind !== "schedule") throw new Error("The schedule made no run.");
      return ended(run.runId);
    },
    async waits({ runId }) {
      const { items } = await context.catalog.runEvents.list({ where: { runId }, limit: 1000 }, never);
      return items.flatMap(({ value: { name, fields } }) =>
        name === runEvents.waiting ? [fields?.["condition"]] : [],
      );
    },
    async sweep() {
      expect(await reconcile(context, { sweep: "all" }, never)).toMatchObject({ failures: 0 });
    },
    async expectHeld(vm) {
      const point = await newestRestorePoint(made.vault, vmIdOf(webVm), never);
      for (const [disk, id] of vm.diskIds.entries()) {
        const kept = point?.manifest.disks.find(({ name }) => id.endsWith(`/${name}`));
        if (kept === undefined) continue;
        const held = new Set<number>();
        for await (const piece of readDisk(made.vault, kept, {}, never)) {
          if (piece.kind !== "data") continue;
          const { offset, content } = piece;
          held.add(offset / mib);
          const now = await vm.read(disk, offset, content.length);
          if (!Buffer.from(content).equals(now)) throw new Error(`${id} is not what it was at ${offset}.`);
        }
        for (const chunk of writtenChunks(region, id)) {
          if (held.has(chunk) || (await vm.read(disk, chunk * mib, mib)).every((byte) => byte === 0)) continue;
          throw new Error(`${id} lacks what it holds at ${chunk * mib}.`);
        }
      }
      expect(point?.manifest.disks.length).toBeGreaterThan(0);
    },
    async expectLeft(run, others = []) {
      const stored = (await context.catalog.runs.get(run.runId, never))?.value;
      expect(stored).toMatchObject({ cleanUp: "done" });
      expect((await context.catalog.vmStates.get(run.vmId, never))?.value.activeRunId).toBeUndefined();
      made.advance(hourMs);
      arm.operations.settle(now());
      const point = await newestRestorePoint(made.vault, run.vmId, never);
      const disks = point?.manifest.disks.map(({ snapshot }) => snapshot["id"] ?? "") ?? [];
      const needed = disks.flatMap((id) => (id.includes("/diskRestorePoints/") ? [id, pointOf(id)] : [id]));
      const lower = (ids: readonly string[]) => [...new Set(ids.map((id) => id.toLowerCase()))].toSorted();
      expect(lower(standing())).toEqual(lower([...needed, ...others]));
      const grants = arm.grants.all().map(({ resourceId }) => resourceId);
      expect(grants.filter((id) => !others.includes(id))).toEqual([]);
    },
    stop: () => region.stop(),
  };
}

/** Chunks of a MiB in which something was written, without the footer. */
function writtenChunks(region: ManagedRegion, diskId: string): ReadonlySet<number> {
  const { resources, store } = region.server.arm;
  const { bytes } = resources.require(diskId);
  const chunks = new Set<number>();
  if (bytes === undefined) return chunks;
  for (const { start, end } of store.allocated(bytes, 0, diskBytes(bytes))) {
    for (let chunk = Math.floor(start / mib); chunk * mib < end; chunk++) chunks.add(chunk);
  }
  return chunks;
}

function isKept({ type }: Resource): boolean {
  return type.endsWith("/snapshots") || type.endsWith("/restorePoints") || type.endsWith("/diskRestorePoints");
}

function pointOf(diskPoint: string): string {
  return diskPoint.split("/").slice(0, -2).join("/");
}

export function succeeded(run: BackupRun) {
  if (run.state === "succeeded") return run;
  throw new Error(`The run ${run.state}: ${"error" in run ? `${run.error.code} ${run.error.message}` : ""}`);
}

/** Disks, as the platform sees them attached from now on. */
export function attach(region: ManagedRegion, vm: ManagedVm, diskIds: readonly string[]): void {
  const { resources } = region.server.arm;
  const { storageProfile } = propertiesOf(resources.require(vm.resourceId));
  const [osDisk, ...rest] = diskIds.map((id) => ({ createOption: "Attach", managedDisk: { id } }));
  const dataDisks = rest.map((disk) => ({ ...disk, lun: vm.diskIds.indexOf(disk.managedDisk.id) }));
  resources.change(vm.resourceId, {
    storageProfile: { ...(storageProfile as object), osDisk: { ...osDisk, osType: "Linux" }, dataDisks },
  });
}
